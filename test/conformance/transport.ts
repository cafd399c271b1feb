/**
 * What every `Transport` promises, as a suite that each provider applies. A world has two hosts on
 * one network whose cable can be pulled.
 */
import { afterEach, describe, expect, it } from 'vitest';
import { defined } from '../../common/assert.ts';
import { delay, type Scheduler } from '../../common/scheduler.ts';
import { LINK_MTU_BYTES } from '../../node/transport/frame.ts';
import { REDIAL_MS, type Transport } from '../../node/transport/transport.ts';
import { frame, pattern, RecordingSink, until } from './recording-sink.ts';

export interface TransportWorld {
  readonly scheduler: Scheduler;
  readonly a: Transport;
  readonly b: Transport;
  /** Has `from` want its links to `to`, by an address that the pulled cable lies behind. */
  connect(from: Transport, to: Transport): void;
  /** Lets the world run until the promise settles; fails after a generous deadline. */
  settle<T>(promise: Promise<T>): Promise<T>;
  /** Breaks every connection between `a` and `b` once; a redial succeeds. */
  interrupt(): void;
  /** Breaks every connection between `a` and `b` for good. */
  separate(): void;
  /** Closes both hosts and what the world has opened; then fails if anything is left. */
  close(): Promise<void>;
}

export interface TransportWorldInit {
  readonly highWaterBytes?: number;
}

interface Side {
  readonly transport: Transport;
  readonly sink: RecordingSink;
}

/** Applies the suite to a provider. `setup` makes hosts `a` and `b`; neither is attached. */
export function describeTransport(
  name: string,
  setup: (init: TransportWorldInit) => Promise<TransportWorld>,
): void {
  describe(`transport conformance: ${name}`, () => {
    let world: TransportWorld | undefined;

    afterEach(async () => {
      const done = world;
      world = undefined;
      await done?.close();
    });

    async function hosts(init: TransportWorldInit = {}) {
      const made = await setup(init);
      world = made;
      const side = (transport: Transport): Side => {
        const sink = new RecordingSink();
        transport.attach(sink);
        return { transport, sink };
      };
      const wait = (condition: () => boolean) => made.settle(until(made.scheduler, condition));
      const pass = (ms: number) => made.settle(delay(made.scheduler, ms));
      return { world: made, a: side(made.a), b: side(made.b), wait, pass };
    }

    async function linked(init: TransportWorldInit = {}) {
      const made = await hosts(init);
      made.world.connect(made.a.transport, made.b.transport);
      made.world.connect(made.b.transport, made.a.transport);
      await made.wait(
        () => made.a.sink.count('linkUp b') === 1 && made.b.sink.count('linkUp a') === 1,
      );
      return made;
    }

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
        expect(() => a.transport.send('b', tooLong, [payload])).toThrow('at most 262144');
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
          a.transport.send('a', frame({ psn: queued, payloadLength: 10_000 }), [payload]) ===
          'queued'
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
  });
}
