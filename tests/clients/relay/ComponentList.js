// What relay-compiler makes artifacts of: a list that grows page by page, and an entity that is read again by its id.
import { graphql } from "relay-runtime";

graphql`
  query ComponentListQuery($filter: EntityFilter, $count: Int!) {
    ...ComponentList_query @arguments(filter: $filter, count: $count)
    liveCursor
  }
`;

graphql`
  fragment ComponentList_query on Query
  @refetchable(queryName: "ComponentListNextPageQuery")
  @argumentDefinitions(filter: { type: "EntityFilter" }, count: { type: "Int" }, cursor: { type: "String" }) {
    components(filter: $filter, first: $count, after: $cursor) @connection(key: "ComponentList_components") {
      edges {
        node {
          id
          ...ComponentList_item
        }
      }
    }
  }
`;

graphql`
  fragment ComponentList_item on Entity @refetchable(queryName: "ComponentListItemQuery") {
    name
    title
  }
`;
