// graphql-ws: single answers, a stream that is left and a document that is refused, on one socket; and a new token.
import { createClient } from "graphql-ws";
import { component, headers, socket, tell } from "./server.mjs";

const closes = [];
const shown = [{ Authorization: "Bearer cg_of-yesterday" }];
const client = createClient({
  ...socket,
  connectionParams: () => shown.shift() ?? headers,
  retryWait: async () => {},
  lazyCloseTimeout: 500, // milliseconds, so that all of this is on one socket
  on: { closed: ({ code, reason }) => closes.push([code, reason]) },
});

async function all(payload) {
  const results = [];
  for await (const result of client.iterate(payload)) results.push(result);
  return results;
}

const [{ data }] = await all({ query: "{ liveCursor }" });
const registered = await all({
  query: "mutation ($input: EntityRegisterInput!) { entityRegister(input: $input) { entityRef } }",
  variables: { input: component("by-graphql-ws") },
});

const events = client.iterate({
  query: `subscription FollowedBySocket($since: String) {
    entityChanges(since: $since, filter: { name: { eq: "by-graphql-ws" } }) { eventKind entity { name } }
  }`,
  variables: { since: data.liveCursor },
});
const { value: first } = await events.next();
const { done } = await events.return();

const errors = await all({ query: "{ nonsense }" }).catch((refused) => refused);
await client.dispose();

tell({
  registered: registered.map((result) => result.data.entityRegister.entityRef),
  first: first.data.entityChanges,
  done,
  refused: errors.map(({ extensions }) => extensions.code),
  closes,
});
