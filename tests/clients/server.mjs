// Where the server is, the token to show it, and something to register there.
import WebSocket from "ws";

export const url = new URL(process.env.GRAPH_URL).href;
export const headers = { Authorization: `Bearer ${process.env.GRAPH_TOKEN}` };

/** For graphql-ws; Node 20 has no WebSocket of its own. */
export const socket = { url: url.replace("http", "ws"), webSocketImpl: WebSocket, connectionParams: headers };

/** For graphql-sse, in its distinct connections mode. */
export const stream = { url, headers, singleConnection: false };

/** The input of `entityRegister` for a component of this name. */
export const component = (name) => ({
  entity: {
    apiVersion: "backstage.io/v1alpha1",
    kind: "Component",
    metadata: { name },
    spec: { type: "tool", lifecycle: "experimental", owner: "nobody" },
  },
});

export function tell(said) {
  console.log(JSON.stringify(said));
}
