import { describe, expect, it } from 'vitest';
import { type Deferred, deferred } from '../../../common/deferred.ts';
import { STREAM_DEPTH_MAX, Stream } from '../../../node/hccl/stream.ts';

/** Lets every promise reaction that is ready run. */
const turn = () => new Promise<void>((resolve) => queueMicrotask(() => process.nextTick(resolve)));

async function filled(stream: Stream): Promise<readonly Deferred<void>[]> {
  const tasks = Array.from({ length: STREAM_DEPTH_MAX }, () => deferred<void>());
  for (const task of tasks) {
    await stream.room();
    void stream.enqueue(() => task.promise);
  }
  return tasks;
}

describe('a full stream', () => {
  it('has room again once half of its work has ended, first come, first served', async () => {
    const stream = new Stream();
    const tasks = await filled(stream);
    const came: number[] = [];
    for (const caller of [0, 1, 2]) void stream.room().then(() => came.push(caller));
    for (const task of tasks.slice(0, STREAM_DEPTH_MAX / 2 - 1)) task.resolve();
    await turn();
    expect(came).toEqual([]);
    tasks[STREAM_DEPTH_MAX / 2 - 1]?.resolve();
    await turn();
    expect(came).toEqual([0, 1, 2]);
  });

  it('never takes more than its depth', async () => {
    const stream = new Stream();
    const tasks = await filled(stream);
    let taken = 0;
    for (let caller = 0; caller < STREAM_DEPTH_MAX; caller++)
      void stream.room().then(() => taken++);
    for (const task of tasks.slice(0, STREAM_DEPTH_MAX / 2)) task.resolve();
    await turn();
    expect(taken).toBe(STREAM_DEPTH_MAX / 2);
  });
});
