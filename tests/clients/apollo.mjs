// Apollo Client: a list that grows by fetchMore, an error's code, and a subscription over either transport.
import { ApolloClient, ApolloLink, CombinedGraphQLErrors, HttpLink, InMemoryCache, Observable, gql } from "@apollo/client";
import { GraphQLWsLink } from "@apollo/client/link/subscriptions";
import { relayStylePagination } from "@apollo/client/utilities";
import { OperationTypeNode, print } from "graphql";
import { createClient as createSseClient } from "graphql-sse";
import { createClient as createSocketClient } from "graphql-ws";
import { filter, firstValueFrom } from "rxjs";
import { component, headers, socket, stream, tell, url } from "./server.mjs";

class SseLink extends ApolloLink {
  #client = createSseClient(stream);

  request({ query, ...rest }) {
    return new Observable((sink) =>
      this.#client.subscribe(
        { ...rest, query: print(query) },
        {
          next: (result) => sink.next(result),
          error: (error) => sink.error(error),
          complete: () => sink.complete(),
        },
      ),
    );
  }
}

const socketClient = createSocketClient(socket);

const clientOver = (subscriptions, shown = headers) =>
  new ApolloClient({
    link: ApolloLink.split(
      ({ operationType }) => operationType === OperationTypeNode.SUBSCRIPTION,
      subscriptions,
      new HttpLink({ uri: url, headers: shown }),
    ),
    cache: new InMemoryCache({
      typePolicies: { Query: { fields: { components: relayStylePagination(["filter", "orderBy"]) } } },
    }),
  });

async function pages(client) {
  const list = client.watchQuery({
    query: gql`
      query List($after: String) {
        components(filter: { type: { eq: "service" } }, first: 2, after: $after) {
          edges {
            node {
              id
              name
            }
          }
          pageInfo {
            hasNextPage
            endCursor
          }
        }
      }
    `,
  });
  const namesOf = ({ data }) => data.components.edges.map(({ node }) => node.name);
  const complete = () => firstValueFrom(list.pipe(filter(({ dataState }) => dataState === "complete")));
  const first = await complete();
  await list.fetchMore({ variables: { after: first.data.components.pageInfo.endCursor } });
  return [namesOf(first), namesOf(await complete())];
}

async function followed(client, name) {
  const { data } = await client.query({ query: gql`{ liveCursor }`, fetchPolicy: "no-cache" });
  const changes = client.subscribe({
    query: gql`
      subscription Follow($since: String, $name: String) {
        entityChanges(since: $since, filter: { name: { eq: $name } }) {
          eventKind
          entity {
            id
            name
          }
        }
      }
    `,
    variables: { since: data.liveCursor, name },
  });
  const event = new Promise((resolve, reject) => {
    const subscription = changes.subscribe({
      next: (result) => {
        subscription.unsubscribe();
        resolve(result.data.entityChanges);
      },
      error: reject,
    });
  });
  await client.mutate({
    mutation: gql`
      mutation Register($input: EntityRegisterInput!) {
        entityRegister(input: $input) {
          entityRef
        }
      }
    `,
    variables: { input: component(name) },
  });
  const { eventKind, entity } = await event;
  return [eventKind, entity.name];
}

async function refused(client) {
  const error = await client.query({ query: gql`{ components(first: 1000) { totalCount } }` }).catch((caught) => caught);
  return CombinedGraphQLErrors.is(error) ? error.errors.map(({ extensions }) => extensions.code) : String(error);
}

const bySocket = clientOver(new GraphQLWsLink(socketClient));
const byStream = clientOver(new SseLink());
const stranger = clientOver(new SseLink(), {});

tell({
  pages: await pages(bySocket),
  bySocket: await followed(bySocket, "by-apollo-socket"),
  byStream: await followed(byStream, "by-apollo-stream"),
  refused: await refused(bySocket),
  stranger: await refused(stranger),
});
await socketClient.dispose();
