import { describe, expect, it } from 'vitest';
import { buildSchedule } from '../../../collectives/table.ts';
import { goalText } from '../../../timing/export/goal.ts';
import { type ExportCase, exportCases, MEMORY_BYTES_PER_SECOND, trafficOf } from './cases.ts';
import { type ReadOperation, replay } from './replay.ts';

const LINES = {
  rank: /^rank (\d+) \{$/,
  message: /^(l\d+): (send|recv) (\d+)b (?:to|from) (\d+) tag (\d+)$/,
  calc: /^(l\d+): calc (\d+)$/,
  needs: /^(l\d+) requires (l\d+)$/,
} as const;

/** A reader of its own, which takes nothing but what GOAL has. */
function readGoal(text: string): ReadOperation[][] {
  const [head, ...lines] = text.split('\n').filter((line) => line !== '');
  const nranks = Number(/^num_ranks (\d+)$/.exec(head ?? '')?.[1]);
  const ranks: ReadOperation[][] = [];
  let needs = new Map<string, string[]>();
  for (const line of lines) {
    if (line === '}') continue;
    const [, rank] = LINES.rank.exec(line) ?? [];
    if (rank !== undefined) {
      expect(Number(rank)).toBe(ranks.length);
      ranks.push([]);
      needs = new Map();
      continue;
    }
    const [, later, earlier] = LINES.needs.exec(line) ?? [];
    if (later !== undefined && earlier !== undefined) {
      needs.get(later)?.push(earlier);
      continue;
    }
    const operation = readOperation(line);
    needs.set(operation.label, operation.needs as string[]);
    ranks.at(-1)?.push(operation);
  }
  expect(ranks).toHaveLength(nranks);
  return ranks;
}

function readOperation(line: string): ReadOperation {
  const [, label = '', kind, bytes, peer, tag] = LINES.message.exec(line) ?? [];
  if (kind === 'send' || kind === 'recv') {
    const numbers = { bytes: Number(bytes), peer: Number(peer), tag: Number(tag) };
    return { label, kind, ...numbers, needs: [] };
  }
  const [, computation, nanoseconds] = LINES.calc.exec(line) ?? [];
  if (computation === undefined) throw new Error(`Not GOAL: ${line}`);
  return { label: computation, kind: 'calc', bytes: Number(nanoseconds), needs: [] };
}

const goalOf = ({ request }: ExportCase): string => [...goalText(request)].join('');

describe('GOAL text', () => {
  it.each(exportCases())('of $name can be carried out, every message taken once', (one) => {
    expect(replay(readGoal(goalOf(one))).traffic).toEqual(trafficOf(one.request));
  });

  it('orders what touches a common place, and says how long a rank computes', () => {
    const work = buildSchedule({
      collective: 'allReduce',
      algorithm: 'ring',
      topology: { boxes: 2, ranksPerBox: 1 },
    });
    const request = {
      ...{ work, counts: 2000, bytesPerElement: 4 },
      memoryBytesPerSecond: MEMORY_BYTES_PER_SECOND,
    };
    const text = [...goalText(request)].join('');
    expect(text).toBe(
      [
        'num_ranks 2',
        '',
        'rank 0 {',
        'l0: send 4000b to 1 tag 0',
        'l1: recv 4000b from 1 tag 0',
        'l2: calc 4000',
        'l2 requires l1',
        'l3: send 4000b to 1 tag 1',
        'l3 requires l2',
        'l4: recv 4000b from 1 tag 1',
        '}',
        '',
        'rank 1 {',
        'l0: send 4000b to 0 tag 0',
        'l1: recv 4000b from 0 tag 0',
        'l2: calc 4000',
        'l2 requires l1',
        'l3: send 4000b to 0 tag 1',
        'l3 requires l2',
        'l4: recv 4000b from 0 tag 1',
        '}',
        '',
      ].join('\n'),
    );
  });
});
