// urql: a query by GET and by POST, an error's code, and a subscription over either transport.
import { cacheExchange, createClient, fetchExchange, gql, subscriptionExchange } from "@urql/core";
import { createClient as createSseClient } from "graphql-sse";
import { createClient as createSocketClient } from "graphql-ws";
import { component, headers, socket, stream, tell, url } from "./server.mjs";

const socketClient = createSocketClient(socket);

const clientOver = (subscriptions, shown = headers) =>
  createClient({
    url,
    fetchOptions: { headers: shown },
    preferGetMethod: true,
    exchanges: [
      cacheExchange,
      fetchExchange,
      subscriptionExchange({
        forwardSubscription: ({ query, variables }) => ({
          subscribe: (sink) => ({ unsubscribe: subscriptions.subscribe({ query, variables }, sink) }),
        }),
      }),
    ],
  });

const REGISTER = gql`
  mutation ($input: EntityRegisterInput!) {
    entityRegister(input: $input) {
      entityRef
    }
  }
`;

const FOLLOW = gql`
  subscription ($since: String, $name: String) {
    entityChanges(since: $since, filter: { name: { eq: $name } }) {
      eventKind
      entity {
        name
      }
    }
  }
`;

async function followed(client, name) {
  const { data } = await client.query(gql`{ liveCursor }`, {}, { requestPolicy: "network-only" });
  const event = new Promise((resolve) => {
    const subscription = client.subscription(FOLLOW, { since: data.liveCursor, name }).subscribe((result) => {
      subscription.unsubscribe();
      resolve(result.data?.entityChanges ?? String(result.error));
    });
  });
  await client.mutation(REGISTER, { input: component(name) });
  return await event;
}

async function player(client, options) {
  const { data } = await client.query(gql`{ component(ref: "player") { name owner { title } } }`, {}, options);
  return data.component;
}

async function refused(client) {
  const { error } = await client.query(gql`{ components(first: 1000) { totalCount } }`);
  return error.graphQLErrors.map(({ extensions }) => extensions.code);
}

const bySocket = clientOver(socketClient);
const byStream = clientOver(createSseClient(stream));
const stranger = clientOver(socketClient, {});

tell({
  byGet: await player(bySocket),
  byPost: await player(byStream, { preferGetMethod: false }),
  bySocket: await followed(bySocket, "by-urql-socket"),
  byStream: await followed(byStream, "by-urql-stream"),
  refused: await refused(bySocket),
  stranger: await refused(stranger),
});
await socketClient.dispose();
