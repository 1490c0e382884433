// graphql-sse: single answers, a stream that is left, a document that is refused, and a stranger.
import { createClient } from "graphql-sse";
import { component, stream, tell } from "./server.mjs";

const client = createClient(stream);
const stranger = createClient({ ...stream, headers: {}, retryAttempts: 0 });

async function all(payload) {
  const results = [];
  for await (const result of client.iterate(payload)) results.push(result);
  return results;
}

const [{ data }] = await all({ query: "{ liveCursor }" });
const registered = await all({
  query: "mutation ($input: EntityRegisterInput!) { entityRegister(input: $input) { entityRef } }",
  variables: { input: component("by-graphql-sse") },
});

const events = client.iterate({
  query: `subscription FollowedBySse($since: String) {
    entityChanges(since: $since, filter: { name: { eq: "by-graphql-sse" } }) { eventKind entity { name } }
  }`,
  variables: { since: data.liveCursor },
});
const { value: first } = await events.next();
const { done } = await events.return();

const [{ errors }] = await all({ query: "{ nonsense }" });
const kept = await stranger.iterate({ query: "{ liveCursor }" }).next().catch(({ response }) => response.status);

tell({
  registered: registered.map((result) => result.data.entityRegister.entityRef),
  first: first.data.entityChanges,
  done,
  refused: errors.map(({ extensions }) => extensions.code),
  stranger: kept,
});
