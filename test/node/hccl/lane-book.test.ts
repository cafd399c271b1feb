import { describe, expect, it } from 'vitest';
import { VirtualScheduler } from '../../../common/scheduler.ts';
import { LaneBook } from '../../../node/hccl/lane-book.ts';

describe('lane book', () => {
  it('offers a lane again until it could be announced, and then no more', () => {
    const book = new LaneBook(new VirtualScheduler(), () => undefined);
    book.markDirty(1, 0);
    book.markDirty(2, 31);
    const offer = (accepts: (peer: number) => boolean): [number, number][] => {
      const offered: [number, number][] = [];
      book.announceDirty((peer, lane) => {
        offered.push([peer, lane]);
        return accepts(peer);
      });
      return offered;
    };
    expect(offer((peer) => peer === 1)).toHaveLength(2);
    expect(offer(() => true)).toEqual([[2, 31]]);
    expect(offer(() => true)).toEqual([]);
  });

  it('has one lane of each number between two ranks', () => {
    const book = new LaneBook(new VirtualScheduler(), () => undefined);
    expect(book.inbound(1, 0)).toBe(book.inbound(1, 0));
    expect(book.inbound(1, 0)).not.toBe(book.inbound(1, 1));
    expect(book.outbound(2, 1)).toBe(book.outbound(2, 1));
    expect(book.outbound(2, 1)).not.toBe(book.outbound(1, 1));
  });
});
