// graphql-ws: follow a namespace, and go on from the last cursor whenever the socket is gone. Ends at "last".
import { createClient } from "graphql-ws";
import { setTimeout } from "node:timers/promises";
import { socket, tell } from "./server.mjs";

const client = createClient({ ...socket, retryAttempts: 300, retryWait: () => setTimeout(100), shouldRetry: () => true });

const query = `subscription ($namespace: String, $since: String) {
  entityChanges(since: $since, filter: { namespace: { eq: $namespace } }) { cursor eventKind entity { name } }
}`;
const payload = { query, variables: { namespace: process.env.GRAPH_NAMESPACE } };

for await (const { data } of client.iterate(payload)) {
  const { cursor, eventKind, entity } = data.entityChanges;
  payload.variables.since = cursor; // it is sent again, as it is then, when there is a socket again
  tell([eventKind, entity?.name]);
  if (entity?.name === "cut") client.terminate();
  if (entity?.name === "last") break;
}
await client.dispose();
