/** Transport conformance, part two: what breaks, what closes, and a host's link to itself. */
import { describe, expect, it } from 'vitest';
import { defined } from '../../common/assert.ts';
import { REDIAL_MS } from '../../node/transport/transport.ts';
import { frame, pattern } from './recording-sink.ts';
import type { TransportWorldInit, TransportWorlds } from './transport-world.ts';

export function describeEndings({ hosts, linked }: TransportWorlds): void {
  describe('failure', () => {
    it('brings the link up again with a higher incarnation after a break', async () => {
      const { world, a, b, wait } = await linked();
      world.interrupt();
      await wait(() => a.sink.count('linkUp b') === 2 && b.sink.count('linkUp a') === 2);
      expect(a.sink.events).toEqual(['linkUp b', 'linkDown b', 'linkUp b']);
      expect(a.transport.counters('b').reconnects).toBeGreaterThan(0);
      a.transport.send('b', frame({ psn: 8, payloadLength: 5000 }), [pattern(5000)]);
      await wait(() => b.sink.psns.includes(8));
      b.transport.reply('a', frame({ type: 'ACK', psn: 8 }));
      await wait(() => a.sink.psns.includes(8));
    });

    it('survives several breaks in a row', async () => {
      const { world, a, b, wait } = await linked();
      for (let round = 2; round < 6; round++) {
        world.interrupt();
        await wait(() => a.sink.count('linkUp') === round && b.sink.count('linkUp') === round);
      }
      expect(a.sink.count('linkLost') + b.sink.count('linkLost')).toBe(0);
    });

    it('never lands half a frame, whatever the break cuts', async () => {
      const { world, a, b, wait } = await linked();
      for (let psn = 0; psn < 10; psn++) {
        const header = frame({ psn, payloadLength: 100_000, remoteAddress: psn * 100_000 });
        a.transport.send('b', header, [pattern(100_000, psn)]);
      }
      world.interrupt();
      await wait(() => a.sink.count('linkUp b') === 2);
      for (const header of b.sink.landedHeaders) {
        const { remoteAddress, psn } = header;
        const placed = b.sink.memory.subarray(remoteAddress, remoteAddress + 100_000);
        expect(placed).toEqual(pattern(100_000, psn));
      }
      const { psns } = b.sink;
      expect(psns).toEqual(psns.map((_, index) => index));
    });

    it('gives the peer up once, on both sides, when redialling does not help', async () => {
      const { world, a, b, wait, pass } = await linked();
      world.separate();
      await wait(() => a.sink.count('linkLost b') === 1 && b.sink.count('linkLost a') === 1);
      await pass(REDIAL_MS * 3);
      expect(a.sink.count('linkLost')).toBe(1);
      expect(b.sink.count('linkLost')).toBe(1);
      expect(a.sink.count('linkUp')).toBe(1);
      expect(a.transport.send('b', frame(), [])).toBe('down');
      expect(a.transport.reply('b', frame({ type: 'ACK' }))).toBe('down');
    });

    it('tells the peer at once of a host that closes', async () => {
      const { world, a, b, wait } = await linked();
      await world.settle(b.transport.close());
      await wait(() => a.sink.count('linkLost b') === 1);
      expect(defined(a.sink.events.at(-1), 'an event')).toContain('b is going away');
    });

    it('lets a lost peer be connected again', async () => {
      const { world, a, b, wait } = await linked();
      a.transport.disconnect('b');
      await wait(() => b.sink.count('linkLost a') === 1);
      world.connect(b.transport, a.transport);
      world.connect(a.transport, b.transport);
      await wait(() => a.sink.count('linkUp b') === 2 && b.sink.count('linkUp a') === 2);
      b.transport.send('a', frame({ psn: 5, payloadLength: 10 }), [pattern(10)]);
      await wait(() => a.sink.psns.includes(5));
    });
  });

  describe('disconnect and close', () => {
    it('disconnect is silent here, and the peer loses the link once', async () => {
      const { world, a, b, wait, pass } = await linked();
      a.transport.disconnect('b');
      a.transport.disconnect('b');
      a.transport.disconnect('nobody');
      expect(a.transport.send('b', frame(), [])).toBe('down');
      await wait(() => b.sink.count('linkLost a') === 1);
      world.interrupt();
      await pass(50);
      expect(a.sink.events).toEqual(['linkUp b']);
      expect(b.sink.count('linkLost')).toBe(1);
    });

    it('disconnect in mid-stream lands no frame afterwards at this host', async () => {
      const { a, b, pass } = await linked();
      for (let psn = 0; psn < 10; psn++) {
        b.transport.send('a', frame({ psn, payloadLength: 60_000 }), [pattern(60_000, psn)]);
      }
      a.transport.disconnect('b');
      await pass(50);
      expect(a.sink.landedHeaders).toEqual([]);
      expect(a.sink.memory.every((byte) => byte === 0)).toBe(true);
    });

    it('disconnect drops what is queued: bytes of a reused buffer never arrive', async () => {
      const { a, b, wait } = await linked({ highWaterBytes: 64 * 1024 * 1024 });
      const payload = pattern(100_000);
      for (let psn = 0; psn < 200; psn++) {
        a.transport.send('b', frame({ psn, payloadLength: 100_000 }), [payload]);
      }
      a.transport.disconnect('b');
      payload.fill(0xee);
      await wait(() => b.sink.count('linkLost a') === 1);
      expect(b.sink.landedHeaders.length).toBeLessThan(200);
      const sent = b.sink.landedHeaders.length > 0 ? pattern(100_000) : new Uint8Array(100_000);
      expect(b.sink.memory.slice(0, 100_000)).toEqual(sent);
    });

    it('disconnect within landed stops the frames behind it', async () => {
      const { a, b, wait, pass } = await linked();
      const landed = a.sink.landed.bind(a.sink);
      a.sink.landed = (nodeId, header) => {
        landed(nodeId, header);
        a.transport.disconnect('b');
      };
      for (let psn = 0; psn < 5; psn++) b.transport.send('a', frame({ psn }), []);
      await wait(() => a.sink.landedHeaders.length > 0);
      await pass(20);
      expect(a.sink.psns).toEqual([0]);
    });

    it('close ends everything, twice, also while dials are under way', async () => {
      const { world, a, b } = await hosts();
      world.connect(a.transport, b.transport);
      world.connect(b.transport, a.transport);
      const first = a.transport.close();
      await world.settle(Promise.all([first, a.transport.close(), b.transport.close()]));
      expect(a.transport.send('b', frame(), [])).toBe('down');
      expect(a.sink.count('linkLost')).toBe(0);
    });
  });

  describe('loopback', () => {
    async function looped(init: TransportWorldInit = {}) {
      const made = await hosts(init);
      made.world.connect(made.a.transport, made.a.transport);
      expect(made.a.sink.events).toEqual([]);
      await made.wait(() => made.a.sink.count('linkUp a') === 1);
      return made;
    }

    it('moves frames and replies of a host to itself', async () => {
      const { a, wait } = await looped();
      a.sink.pieces = 2;
      const payload = pattern(9000);
      const header = frame({ psn: 1, payloadLength: 9000, remoteAddress: 100 });
      const views = [payload.subarray(0, 10), payload.subarray(10)];
      expect(a.transport.send('a', header, views)).toBe('queued');
      expect(a.transport.send('a', frame({ type: 'SEND', psn: 2 }), [])).toBe('queued');
      expect(a.transport.reply('a', frame({ type: 'ACK', psn: 3 }))).toBe('queued');
      expect(a.sink.landedHeaders).toEqual([]);
      await wait(() => a.sink.landedHeaders.length === 3);
      expect(a.sink.psns).toEqual([1, 2, 3]);
      expect(a.sink.memory.subarray(100, 9100)).toEqual(payload);
      expect(a.transport.counters('a')).toMatchObject({ framesSent: 3, framesReceived: 3 });
    });

    it('drops what place refuses', async () => {
      const { a, wait } = await looped();
      a.sink.refuses = (header) => header.psn === 0;
      for (let psn = 0; psn < 2; psn++) {
        a.transport.send('a', frame({ psn, payloadLength: 10 }), [pattern(10)]);
      }
      await wait(() => a.sink.landedHeaders.length === 1);
      expect(a.sink.psns).toEqual([1]);
    });

    it('has the same bound: full, then writable', async () => {
      const { a, wait } = await looped({ highWaterBytes: 30_000 });
      const payload = pattern(10_000);
      let queued = 0;
      while (
        a.transport.send('a', frame({ psn: queued, payloadLength: 10_000 }), [payload]) === 'queued'
      ) {
        queued++;
      }
      expect(queued).toBe(3);
      await wait(() => a.sink.count('writable a') === 1);
      await wait(() => a.sink.landedHeaders.length === queued);
    });

    it('falls silent on disconnect', async () => {
      const { a, pass } = await looped();
      a.transport.send('a', frame(), []);
      a.transport.disconnect('a');
      expect(a.transport.send('a', frame(), [])).toBe('down');
      await pass(10);
      expect(a.sink.landedHeaders).toEqual([]);
      expect(a.sink.events).toEqual(['linkUp a']);
    });
  });
}
