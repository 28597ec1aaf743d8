/** A place in a text, for messages: line and column count from 1, `length` in UTF-16 units. */
export interface Span {
  readonly offset: number;
  readonly length: number;
}
