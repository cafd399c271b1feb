import sax from 'sax';
import { describe, expect, it } from 'vitest';
import { binomialTreeBroadcast } from '../../collectives/algorithms/binomial-tree.ts';
import { recursiveHalvingReduceScatter } from '../../collectives/algorithms/recursive-halving.ts';
import { ringAllReduce } from '../../collectives/algorithms/ring.ts';
import { usualPlacement } from '../../collectives/drawing.ts';
import { drawSchedule, PICTURE_MARKS_MAX, pictureMarks } from '../../collectives/picture.ts';
import { escapeXml } from '../../collectives/picture-style.ts';
import { printSchedule } from '../../collectives/print.ts';
import { CASES, scheduleOf } from './support.ts';

interface Element {
  readonly name: string;
  readonly attributes: Readonly<Record<string, string>>;
  text: string;
}

/** All elements in order of their beginning; throws if the text is not well-formed. */
function elementsOf(xml: string): Element[] {
  const parser = sax.parser(true);
  const elements: Element[] = [];
  const open: Element[] = [];
  parser.onerror = (error) => {
    throw error;
  };
  parser.onopentag = ({ name, attributes }) => {
    const element = { name, attributes: attributes as Record<string, string>, text: '' };
    elements.push(element);
    open.push(element);
  };
  parser.ontext = (text) => {
    const element = open.at(-1);
    if (element !== undefined) element.text += text;
  };
  parser.onclosetag = () => open.pop();
  parser.write(xml).close();
  return elements;
}

const byClass = (elements: readonly Element[], name: string): Element[] =>
  elements.filter(({ attributes }) => attributes['class'] === name);

describe('drawSchedule()', () => {
  const ring = elementsOf(drawSchedule(ringAllReduce({ nranks: 4 })));

  it('has a column for every rank and a row for every round', () => {
    expect(byClass(ring, 'rank').map(({ text }) => text)).toEqual(
      [0, 1, 2, 3].map((rank) => `rank ${rank}`),
    );
    const rows = byClass(ring, 'label').map(({ text }) => text);
    expect(rows.filter((text) => /^(start|round \d)$/.test(text))).toHaveLength(7);
  });

  it('shows in every cell what the text drawing shows', () => {
    const drawn = printSchedule(ringAllReduce({ nranks: 4 }))
      .split('\n')
      .slice(1)
      .flatMap((line) =>
        line
          .replace(/^(start|round \d)/, '')
          .trim()
          .split(/ +/),
      );
    expect(byClass(ring, 'holds').map(({ text }) => text)).toEqual(drawn);
  });

  it('has an arrow for every message, from the cells that are sent to those that are stored', () => {
    const arrows = ring.filter(({ attributes }) => attributes['marker-end'] !== undefined);
    // The legend has one of each.
    expect(arrows.filter(({ attributes }) => attributes['class'] === 'reduce')).toHaveLength(13);
    expect(arrows.filter(({ attributes }) => attributes['class'] === 'copy')).toHaveLength(13);
    const titles = ring.filter(({ name }) => name === 'title').map(({ text }) => text);
    expect(titles).toContain('reduce 1 chunk from rank 0 to rank 1: input[0] to output[0]');
    const cells = ring.filter(
      ({ name, attributes }) => name === 'rect' && attributes['y'] === '86',
    );
    const lefts = cells.map(({ attributes }) => Number(attributes['x']));
    const width = Number(cells[0]?.attributes['width']);
    const first = arrows[0]?.attributes;
    expect(Number(first?.['x1'])).toBe((lefts[0] ?? 0) + width / 2);
    expect(Number(first?.['x2'])).toBe((lefts[4] ?? 0) + width / 2);
  });

  it('tells apart what is empty, part and complete', () => {
    const tree = elementsOf(drawSchedule(binomialTreeBroadcast({ nranks: 4 })));
    const cells = (name: string) =>
      byClass(tree, name).filter(({ attributes }) => attributes['height'] === '24').length;
    // Four ranks, three rows: one has the vector, then two, then all.
    expect([cells('empty'), cells('some'), cells('whole')]).toEqual([5, 0, 7]);
  });

  it('names the buffers of a rank that has several', () => {
    const schedule = recursiveHalvingReduceScatter({ nranks: 4 });
    const elements = elementsOf(
      drawSchedule(schedule, { placement: 'outOfPlace', buffers: 'all' }),
    );
    const names = byClass(elements, 'buffer').map(({ text }) => text);
    expect(names.slice(0, 2)).toEqual(['output', 'scratch']);
    expect(names).toHaveLength(8);
  });

  it.each(CASES)('is well-formed and stands by itself: $algorithm $collective', (one) => {
    for (const buffers of ['output', 'all'] as const) {
      const placement = usualPlacement(one.collective);
      const schedule = scheduleOf(one, { nranks: 4, placement });
      if (schedule === undefined) continue;
      const picture = drawSchedule(schedule, { placement, buffers });
      const [root] = elementsOf(picture);
      expect(root?.name).toBe('svg');
      expect(root?.attributes['xmlns']).toBe('http://www.w3.org/2000/svg');
      expect(picture.replace('http://www.w3.org/2000/svg', '')).not.toMatch(/https?:|@import|href/);
      expect(picture).toContain('prefers-color-scheme:dark');
      expect(picture).not.toMatch(/NaN|undefined/);
    }
  });

  it('refuses what nobody can read', () => {
    const schedule = ringAllReduce({ nranks: 64 });
    expect(pictureMarks(schedule)).toBeGreaterThan(PICTURE_MARKS_MAX);
    expect(() => drawSchedule(schedule)).toThrow(`Expected at most ${PICTURE_MARKS_MAX} marks`);
  });
});

describe('escapeXml()', () => {
  it('leaves nothing that ends a text or an attribute', () => {
    expect(escapeXml('<a b="c">&</a>')).toBe('&lt;a b=&quot;c&quot;&gt;&amp;&lt;/a&gt;');
  });
});
