/** Transport conformance, part three: when the memory of a payload is not read any more. */
import { describe, expect, it } from 'vitest';
import { frame, pattern } from './recording-sink.ts';
import type { TransportWorlds } from './transport-world.ts';

const FRAME_BYTES = 100_000;
/** More than the buffers of any kernel take at once. */
const FRAMES = 200;

export function describeQuiesce({ hosts, linked }: TransportWorlds): void {
  describe('quiesce', () => {
    async function busy() {
      const made = await linked({ highWaterBytes: 64 * 1024 * 1024 });
      const payload = pattern(FRAME_BYTES);
      for (let psn = 0; psn < FRAMES; psn++) {
        made.a.transport.send('b', frame({ psn, payloadLength: FRAME_BYTES }), [payload]);
      }
      return { ...made, payload };
    }

    it('is quiet where nothing was sent, and towards a stranger', async () => {
      const { world, a } = await linked();
      expect([a.transport.isQuiet('b'), a.transport.isQuiet('nobody')]).toEqual([true, true]);
      await world.settle(a.transport.quiesce('b', 1));
      await world.settle(a.transport.quiesce('nobody', 1));
    });

    it('resolves when what was sent before has been read: later changes never show', async () => {
      const { world, a, b, wait, payload } = await busy();
      expect(a.transport.isQuiet('b')).toBe(false);
      await world.settle(a.transport.quiesce('b', 10_000));
      expect(a.transport.isQuiet('b')).toBe(true);
      const sent = payload.slice();
      payload.fill(0xee);
      await wait(() => b.sink.landedHeaders.length === FRAMES);
      expect(b.sink.memory.subarray(0, FRAME_BYTES)).toEqual(sent);
      expect(a.sink.count('linkDown')).toBe(0);
    });

    it('does not wait for what is sent afterwards', async () => {
      const { world, a, payload, wait } = await busy();
      let quiet = false;
      const done = a.transport.quiesce('b', 10_000).then(() => {
        quiet = true;
      });
      let psn = FRAMES;
      const endless = () => {
        while (
          !quiet &&
          a.transport.send('b', frame({ psn: psn++, payloadLength: FRAME_BYTES }), [payload]) ===
            'queued'
        ) {
          if (psn % 20 === 0) break;
        }
        return quiet;
      };
      await wait(endless);
      await world.settle(done);
    });

    it('breaks a connection that does not take it in time; the link comes up again and works', async () => {
      const { world, a, b, wait, pass, payload } = await busy();
      await world.settle(a.transport.quiesce('b', 0));
      payload.fill(0xee);
      expect(a.transport.isQuiet('b')).toBe(true);
      await pass(20);
      // A wire in memory without a bandwidth has taken everything before the timer: it never stalls.
      const broken = a.sink.count('linkDown b') === 1;
      await wait(() => a.sink.count('linkUp b') === (broken ? 2 : 1));
      a.transport.send('b', frame({ psn: 9999, payloadLength: 10 }), [pattern(10)]);
      await wait(() => b.sink.psns.includes(9999));
      // Whatever landed before the break was read before the bytes changed.
      const landed = b.sink.landedHeaders.length > 1;
      const before = landed ? pattern(FRAME_BYTES) : new Uint8Array(FRAME_BYTES);
      expect(b.sink.memory.slice(10, FRAME_BYTES)).toEqual(before.slice(10));
    });

    it('a disconnect ends the wait: nothing is read any more', async () => {
      const { world, a, payload } = await busy();
      const done = a.transport.quiesce('b', 10_000);
      a.transport.disconnect('b');
      payload.fill(0xee);
      await world.settle(done);
      expect(a.transport.isQuiet('b')).toBe(true);
    });

    it('a break ends the wait', async () => {
      const { world, a } = await busy();
      const done = a.transport.quiesce('b', 10_000);
      world.interrupt();
      await world.settle(done);
    });

    it('works for the link of a host to itself', async () => {
      const { world, a, wait } = await hosts();
      world.connect(a.transport, a.transport);
      await wait(() => a.sink.count('linkUp a') === 1);
      const payload = pattern(1000);
      for (let psn = 0; psn < 500; psn++) {
        a.transport.send('a', frame({ psn, payloadLength: 1000 }), [payload]);
      }
      expect(a.transport.isQuiet('a')).toBe(false);
      await world.settle(a.transport.quiesce('a', 10_000));
      const sent = payload.slice();
      payload.fill(0xee);
      await wait(() => a.sink.landedHeaders.length === 500);
      expect(a.sink.memory.subarray(0, 1000)).toEqual(sent);
    });
  });
}
