// A frontend in TypeScript: what it reads of an answer is what the schema says is there.
import type { TypedDocumentNode } from "@graphql-typed-document-node/core";
import { print } from "graphql";
import {
  Card_EntityFragmentDoc,
  CatalogPageQueryDocument,
  ManagePageQueryDocument,
  ServicePageQueryDocument,
  SquadPageQueryDocument,
} from "./generated/graphql.js";
import { type FragmentType, useFragment } from "./generated/index.js";
import { headers, tell, url } from "./server.mjs";

async function ask<Data, Variables>(document: TypedDocumentNode<Data, Variables>, variables: Variables): Promise<Data> {
  const body = JSON.stringify({ query: print(document), variables });
  const answer = await fetch(url, { method: "POST", headers: { "Content-Type": "application/json", ...headers }, body });
  const { data, errors } = (await answer.json()) as { data: Data; errors?: unknown };
  if (errors) throw new Error(JSON.stringify(errors));
  return data;
}

const titleOf = (card: FragmentType<typeof Card_EntityFragmentDoc>): string =>
  useFragment(Card_EntityFragmentDoc, card).title;

const { components, facets } = await ask(CatalogPageQueryDocument, { filter: { type: { eq: "service" } } });
const { viewer } = await ask(ManagePageQueryDocument, { filter: { kind: { eq: "Component" } } });
const { component } = await ask(ServicePageQueryDocument, { ref: "player" });
const { group } = await ask(SquadPageQueryDocument, { ref: "music" });

const lifecycles: [string | null, number][] | undefined = facets[0]?.values.map(({ value, count }) => [value, count]);
const owned = group?.ownedEntities.nodes.flatMap((node) => (node.__typename === "API" ? [node.definition] : []));
const mine = viewer?.ownedEntities.edges.map(({ node }) => titleOf(node));
const dependencies = component?.dependencies.nodes.map((node) =>
  node.__typename === "Resource" ? node.type : titleOf(node),
);

// @ts-expect-error The page does not ask for it.
group?.spec;

tell({ titles: components.nodes.map(titleOf), lifecycles, mine, dependencies, owned });
