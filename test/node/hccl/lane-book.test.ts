import { describe, expect, it } from 'vitest';
import { VirtualScheduler } from '../../../common/scheduler.ts';
import { LaneBook, type LaneId } from '../../../node/hccl/lane-book.ts';

describe('lane book', () => {
  it('offers a lane again until it could be announced, and then no more', () => {
    const book = new LaneBook(new VirtualScheduler(), () => undefined);
    book.markDirty({ peer: 1, channel: 0 });
    book.markDirty({ peer: 2, channel: 1 });
    const offer = (accepts: (id: LaneId) => boolean): LaneId[] => {
      const offered: LaneId[] = [];
      book.announceDirty((id) => {
        offered.push(id);
        return accepts(id);
      });
      return offered;
    };
    expect(offer(({ peer }) => peer === 1)).toHaveLength(2);
    expect(offer(() => true)).toEqual([{ peer: 2, channel: 1 }]);
    expect(offer(() => true)).toEqual([]);
  });
});
