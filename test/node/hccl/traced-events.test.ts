import { describe, expect, it } from 'vitest';
import { HlsimError } from '../../../common/errors.ts';
import type { EngineEvent } from '../../../node/hccl/events.ts';
import { readEvents, writeEvents } from '../../../node/hccl/traced-events.ts';

const CALL = { rank: 1, uniqueId: 'u', sequence: 4, atMs: 12.25 };
const SLICE = { ...CALL, channel: 2, step: 3, slice: 5, bytes: 64 };
const EVENTS: readonly EngineEvent[] = [
  { kind: 'collectiveBegin', ...CALL, collective: 'allReduce', algorithm: 'ring', bytes: 640 },
  { kind: 'collectiveEnd', ...CALL, result: 'hcclSuccess' },
  { kind: 'sendBegin', ...SLICE, peer: 2 },
  { kind: 'sendEnd', ...SLICE, peer: 2 },
  { kind: 'arrived', ...SLICE, peer: 0 },
  { kind: 'computeBegin', ...SLICE },
  { kind: 'computeEnd', ...SLICE },
  { kind: 'read', ...SLICE, peer: 0, endMs: 13, isReduced: true },
  { kind: 'waited', ...CALL, peer: 0, endMs: 12.5 },
];

describe('Events as text', () => {
  it.each(EVENTS)('$kind is read as it was written', (event) => {
    const [read] = readEvents(writeEvents([{ worldRank: 9, event }]));
    expect(read).toEqual({ worldRank: 9, ...event });
  });

  it.each([
    'nonsense',
    '{}',
    '[["sendBegin"]]',
    '[["sendBegin",0,"u",0,1,2,3,4,5,6,"peer"]]',
    '[["sendBegin",0,"u",0,1,null,3,4,5,6,7]]',
    '[["fled",0,"u",0,1,2]]',
  ])('%s is refused', (text) => {
    const reading = () => readEvents(text);
    expect(reading).toThrow(HlsimError);
    expect(reading).toThrow('Expected events of a trace');
  });
});
