/** Transport conformance, part one: links, frames, replies, backpressure. */
import { describe, expect, it } from 'vitest';
import { LINK_MTU_BYTES } from '../../node/transport/frame.ts';
import { frame, pattern } from './recording-sink.ts';
import type { TransportWorlds } from './transport-world.ts';

export function describeTraffic({ hosts, linked }: TransportWorlds): void {
  describe('links', () => {
    it('come up on both sides, once, however often connect is called', async () => {
      const { world, a, b, pass } = await linked();
      world.connect(a.transport, b.transport);
      world.connect(a.transport, b.transport);
      await pass(50);
      expect(a.sink.events).toEqual(['linkUp b']);
      expect(b.sink.events).toEqual(['linkUp a']);
    });

    it('come up when the peer connects later', async () => {
      const { world, a, b, wait, pass } = await hosts();
      world.connect(a.transport, b.transport);
      await pass(60);
      expect(b.sink.events).toEqual([]);
      world.connect(b.transport, a.transport);
      await wait(() => a.sink.count('linkUp b') === 1 && b.sink.count('linkUp a') === 1);
    });

    it('are never reported within the call that asked for them', async () => {
      const { world, a, b, pass } = await hosts();
      world.connect(b.transport, a.transport);
      await pass(60);
      world.connect(a.transport, b.transport);
      expect(a.sink.events).toEqual([]);
    });

    it('answer down to an unknown peer and before they are up', async () => {
      const { world, a, b } = await hosts();
      expect(a.transport.send('b', frame(), [])).toBe('down');
      world.connect(a.transport, b.transport);
      expect(a.transport.send('b', frame(), [])).toBe('down');
      expect(a.transport.reply('b', frame({ type: 'ACK' }))).toBe('down');
      expect(a.transport.counters('nobody').framesSent).toBe(0);
    });

    it('are lost at once, both ends, when the address belongs to another host', async () => {
      const { a, b, wait } = await hosts();
      a.transport.connect({ nodeId: 'c', address: b.transport.address });
      await wait(() => a.sink.count('linkLost') === 1);
      expect(a.sink.events[0]).toContain('linkLost c: c at');
      expect(a.sink.events[0]).toContain('409');
    });
  });

  describe('frames', () => {
    it('carry every field and the payload, into shared memory, in order', async () => {
      const { a, b, wait } = await linked();
      const payload = pattern(10_000);
      const header = frame({
        type: 'WRITE_IMM',
        destQpn: 0xffff_fffe,
        sourceQpn: 7,
        qpEpoch: 9,
        psn: 0xffff_ffff,
        remoteAddress: 4096,
        rkey: 0x8000_0001,
        payloadLength: payload.byteLength,
        immediate: 0xdead_beef,
        credits: 5,
      });
      expect(a.transport.send('b', header, [payload])).toBe('queued');
      await wait(() => b.sink.landedHeaders.length === 1);
      expect(b.sink.landedHeaders).toEqual([header]);
      expect(b.sink.memory.subarray(4096, 14_096)).toEqual(payload);
      expect(b.sink.memory.subarray(0, 4096).every((byte) => byte === 0)).toBe(true);
      expect(b.sink.memory.subarray(14_096).every((byte) => byte === 0)).toBe(true);
    });

    it('arrive in the order of send, small and large mixed', async () => {
      const { a, b, wait } = await linked();
      const sizes = [0, 1, 5000, 63, 64, 4096, 4097, 0, 125, 126, 65_535, 65_536, 3];
      for (const [psn, length] of sizes.entries()) {
        const header = frame({ psn, payloadLength: length });
        expect(a.transport.send('b', header, [pattern(length, psn)])).toBe('queued');
      }
      await wait(() => b.sink.landedHeaders.length === sizes.length);
      expect(b.sink.psns).toEqual(sizes.map((_, psn) => psn));
    });

    it('gather several source views and scatter into several target views', async () => {
      const { a, b, wait } = await linked();
      b.sink.pieces = 3;
      for (const [psn, length] of [1000, 50_000].entries()) {
        const payload = pattern(length, psn);
        const cuts = [0, 1, 1, 333, length - 7, length];
        const views = cuts.slice(1).map((end, index) => payload.subarray(cuts[index], end));
        const remoteAddress = psn * 100_000;
        a.transport.send('b', frame({ psn, payloadLength: length, remoteAddress }), views);
        await wait(() => b.sink.landedHeaders.length === psn + 1);
        const placed = b.sink.memory.subarray(remoteAddress, remoteAddress + length);
        expect(placed).toEqual(payload);
      }
    });

    it('gather a payload of a thousand views', async () => {
      const { a, b, wait } = await linked();
      const payload = pattern(64_000);
      const views = Array.from({ length: 1000 }, (_, index) =>
        payload.subarray(index * 64, (index + 1) * 64),
      );
      a.transport.send('b', frame({ payloadLength: 64_000 }), views);
      await wait(() => b.sink.landedHeaders.length === 1);
      expect(b.sink.memory.subarray(0, 64_000)).toEqual(payload);
    });

    it('are placed before a single byte is stored', async () => {
      const { a, b, wait } = await linked();
      for (let psn = 0; psn < 4; psn++) {
        const header = frame({ psn, payloadLength: 20_000, remoteAddress: psn * 20_000 });
        a.transport.send('b', header, [pattern(20_000, psn)]);
      }
      await wait(() => b.sink.landedHeaders.length === 4);
      expect(b.sink.wasUntouched).toEqual([true, true, true, true]);
    });

    it('are dropped without a trace when place answers null', async () => {
      const { a, b, wait } = await linked();
      b.sink.refuses = (header) => header.psn === 1;
      for (let psn = 0; psn < 3; psn++) {
        const header = frame({ psn, payloadLength: 5000, remoteAddress: psn * 5000 });
        a.transport.send('b', header, [pattern(5000, psn)]);
      }
      await wait(() => b.sink.landedHeaders.length === 2);
      expect(b.sink.psns).toEqual([0, 2]);
      expect(b.sink.memory.subarray(5000, 10_000).every((byte) => byte === 0)).toBe(true);
    });

    it('of the full MTU pass, one byte more is a programmer error', async () => {
      const { a, b, wait } = await linked();
      const payload = pattern(LINK_MTU_BYTES + 1);
      const whole = payload.subarray(0, LINK_MTU_BYTES);
      a.transport.send('b', frame({ payloadLength: LINK_MTU_BYTES }), [whole]);
      await wait(() => b.sink.landedHeaders.length === 1);
      expect(b.sink.memory.subarray(0, LINK_MTU_BYTES)).toEqual(whole);
      const tooLong = frame({ payloadLength: LINK_MTU_BYTES + 1 });
      expect(() => a.transport.send('b', tooLong, [payload])).toThrow(`at most ${LINK_MTU_BYTES}`);
    });

    it('whose payload has another length than the header says are a programmer error', async () => {
      const { a } = await linked();
      expect(() => a.transport.send('b', frame({ payloadLength: 8 }), [pattern(7)])).toThrow(
        'Expected a payload of 8 bytes but found 7',
      );
    });

    it('go both ways at the same time', async () => {
      const { a, b, wait } = await linked();
      for (let psn = 0; psn < 20; psn++) {
        const header = frame({ psn, payloadLength: 9000 });
        a.transport.send('b', header, [pattern(9000, psn)]);
        b.transport.send('a', header, [pattern(9000, psn + 100)]);
      }
      await wait(() => a.sink.psns.length === 20 && b.sink.psns.length === 20);
      expect(b.sink.memory.subarray(0, 9000)).toEqual(pattern(9000, 19));
      expect(a.sink.memory.subarray(0, 9000)).toEqual(pattern(9000, 119));
    });

    it('are counted in frames and payload bytes, both directions', async () => {
      const { a, b, wait } = await linked();
      a.transport.send('b', frame({ payloadLength: 100 }), [pattern(100)]);
      a.transport.send('b', frame({ payloadLength: 9000 }), [pattern(9000)]);
      await wait(() => b.sink.landedHeaders.length === 2);
      b.transport.reply('a', frame({ type: 'ACK', psn: 1 }));
      await wait(() => a.sink.landedHeaders.length === 1);
      expect(a.transport.counters('b')).toEqual({
        framesSent: 2,
        payloadBytesSent: 9100,
        framesReceived: 1,
        payloadBytesReceived: 0,
        reconnects: 0,
      });
      expect(b.transport.counters('a')).toMatchObject({
        framesSent: 1,
        framesReceived: 2,
        payloadBytesReceived: 9100,
      });
    });
  });

  describe('replies', () => {
    it('go back on the link of the data, in order', async () => {
      const { a, b, wait } = await linked();
      a.transport.send('b', frame({ payloadLength: 10 }), [pattern(10)]);
      await wait(() => b.sink.landedHeaders.length === 1);
      const ack = frame({ type: 'ACK', psn: 3, credits: 0xffff_ffff });
      const nak = frame({ type: 'NAK', psn: 4, syndrome: 'REMOTE_ACCESS_ERROR' });
      expect(b.transport.reply('a', ack)).toBe('queued');
      expect(b.transport.reply('a', nak)).toBe('queued');
      await wait(() => a.sink.landedHeaders.length === 2);
      expect(a.sink.landedHeaders).toEqual([ack, nak]);
    });

    it('are ACK and NAK alone, and these go no other way', async () => {
      const { a } = await linked();
      expect(() => a.transport.reply('b', frame())).toThrow('Expected a WRITE to go through');
      expect(() => a.transport.send('b', frame({ type: 'ACK' }), [])).toThrow(
        'Expected a ACK to go through reply()',
      );
    });
  });

  describe('backpressure', () => {
    it('answers full above the high-water mark, then writable, and loses nothing', async () => {
      const { a, b, wait } = await linked({ highWaterBytes: 300_000 });
      const payload = pattern(100_000);
      let psn = 0;
      const fill = () => {
        while (psn < 1000) {
          const header = frame({ psn, payloadLength: payload.byteLength });
          if (a.transport.send('b', header, [payload]) !== 'queued') return;
          psn++;
        }
      };
      fill();
      // At least the mark; above it, what the medium itself took at once.
      const atFirst = psn;
      expect(atFirst).toBeGreaterThanOrEqual(3);
      expect(atFirst).toBeLessThan(1000);
      await wait(() => a.sink.count('writable b') === 1);
      fill();
      expect(psn).toBeGreaterThan(atFirst);
      expect(psn).toBeLessThan(1000);
      await wait(() => b.sink.landedHeaders.length === psn);
      expect(b.sink.psns).toEqual(Array.from({ length: psn }, (_, index) => index));
      await wait(() => a.sink.count('writable b') === 2);
    });

    it('never reports writable without a full before it', async () => {
      const { a, b, wait, pass } = await linked();
      for (let psn = 0; psn < 5; psn++) {
        a.transport.send('b', frame({ psn, payloadLength: 5000 }), [pattern(5000)]);
      }
      await wait(() => b.sink.landedHeaders.length === 5);
      await pass(20);
      expect(a.sink.events).toEqual(['linkUp b']);
    });
  });
}
