// Relay's runtime with the artifacts of its compiler: a connection that grows, an entity by its id, errors, events.
import { createClient } from "graphql-ws";
import relay from "relay-runtime";
import ItemQuery from "./relay/__generated__/ComponentListItemQuery.graphql.js";
import NextPageQuery from "./relay/__generated__/ComponentListNextPageQuery.graphql.js";
import ListQuery from "./relay/__generated__/ComponentListQuery.graphql.js";
import itemFragment from "./relay/__generated__/ComponentList_item.graphql.js";
import listFragment from "./relay/__generated__/ComponentList_query.graphql.js";
import LiveSubscription from "./relay/__generated__/LiveSubscription.graphql.js";
import RegisterMutation from "./relay/__generated__/RegisterMutation.graphql.js";
import { component, headers, socket, tell, url } from "./server.mjs";

const { Environment, Network, Observable, RecordSource, Store } = relay;
const { commitMutation, fetchQuery, getSingularSelector, requestSubscription } = relay;
const socketClient = createClient(socket);

async function ask({ text }, variables) {
  const body = JSON.stringify({ query: text, variables });
  const answer = await fetch(url, { method: "POST", headers: { "Content-Type": "application/json", ...headers }, body });
  return await answer.json();
}

const follow = ({ name, text }, variables) =>
  Observable.create((sink) => socketClient.subscribe({ operationName: name, query: text, variables }, sink));

const environment = new Environment({ network: Network.create(ask, follow), store: new Store(new RecordSource()) });

const get = (query, variables) => fetchQuery(environment, query, variables).toPromise();
const read = (fragment, data) => environment.lookup(getSingularSelector(fragment, data)).data;

const filter = { type: { eq: "service" } };
const list = await get(ListQuery, { filter, count: 2 });
const pages = [read(listFragment, list).components];
await get(NextPageQuery, { filter, count: 2, cursor: pages[0].pageInfo.endCursor });
pages.push(read(listFragment, list).components);

const { id } = pages[1].edges[0].node;
const { node } = await get(ItemQuery, { id });

const event = new Promise((resolve, reject) => {
  const variables = { since: list.liveCursor, filter: { name: { eq: "by-relay" } } };
  requestSubscription(environment, {
    subscription: LiveSubscription,
    variables,
    onNext: ({ entityChanges }) => resolve(entityChanges.eventKind),
    onError: reject,
  });
});
const registered = await new Promise((onCompleted, onError) => {
  const variables = { input: component("by-relay") };
  commitMutation(environment, { mutation: RegisterMutation, variables, onCompleted, onError });
});

const refused = await get(ListQuery, { filter, count: 1000 }).catch(({ source }) => source.errors);

tell({
  pages: pages.map(({ edges }) => edges.map((edge) => read(itemFragment, edge.node).name)),
  again: read(itemFragment, node).name,
  registered: registered.entityRegister.entityRef,
  event: await event,
  refused: refused.map(({ extensions }) => extensions.code),
});
await socketClient.dispose();
