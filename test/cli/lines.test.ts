import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LINE_LENGTH_MAX, LineSplitter } from '../../cli/lines.ts';

function split(...pieces: string[]): string[] {
  const lines: string[] = [];
  const splitter = new LineSplitter((line) => lines.push(line));
  for (const piece of pieces) splitter.push(piece);
  splitter.flush();
  return lines;
}

describe('LineSplitter', () => {
  it('gives the same lines however the text is cut', () => {
    fc.assert(
      fc.property(fc.array(fc.string()), (pieces) => {
        expect(split(...pieces)).toEqual(split(pieces.join('')));
      }),
    );
  });

  it('keeps empty lines, drops carriage returns, and hands on the rest at the end', () => {
    expect(split('a\r\n\nb', 'c\nd')).toEqual(['a', '', 'bc', 'd']);
  });

  it('hands on a line that is too long in parts, and loses nothing', () => {
    const text = 'x'.repeat(3 * LINE_LENGTH_MAX);
    const pieces = text.match(/.{1,1000}/g) ?? [];
    const lines = split(...pieces);
    expect(lines.length).toBeGreaterThan(1);
    expect(lines.join('')).toBe(text);
  });
});
