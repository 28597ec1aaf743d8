/**
 * Breaks a comment into lines of fewer than `width` characters, but for longer words; a line break of its own stays.
 * Each line begins with a blank, to stand behind the sign of a comment.
 */
export function commentLines(text: string, width: number): string[] {
  return text.split("\n").flatMap((paragraph) => {
    const filled = [""];
    for (const word of paragraph.split(" ")) {
      const last = filled.length - 1;
      if (filled[last]!.length + word.length >= width) filled.push(` ${word}`);
      else filled[last] += ` ${word}`;
    }
    return filled;
  });
}
