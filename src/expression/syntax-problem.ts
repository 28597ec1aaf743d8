/** Thrown by lexer and parser at the first place that is not the language; `compileExpression` turns it into a problem. */
export class SyntaxProblem extends Error {
  readonly offset: number;
  readonly length: number;
  /** Set when the text is not wrong but too large or too deep. */
  readonly tooLarge: boolean;

  constructor(message: string, offset: number, length: number, tooLarge = false) {
    super(message);
    this.offset = offset;
    this.length = length;
    this.tooLarge = tooLarge;
  }
}
