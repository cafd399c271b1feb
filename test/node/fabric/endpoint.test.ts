import { describe, expect, it } from 'vitest';
import { fi_av_insert } from '../../../node/fabric/av.ts';
import { fi_cancel, fi_ep_counters } from '../../../node/fabric/endpoint.ts';
import { FI_ADDR_UNSPEC } from '../../../node/fabric/fabric.ts';
import {
  EAGER_BYTES,
  MESSAGE_HEADER_BYTES,
  SEGMENT_BYTES,
} from '../../../node/fabric/message-header.ts';
import { fi_recv, fi_send } from '../../../node/fabric/msg.ts';
import { CONTROL_CREDITS } from '../../../node/fabric/outbound.ts';
import { RECV_DEPTH } from '../../../node/fabric/queue-pair.ts';
import { fi_read, fi_write, fi_writedata } from '../../../node/fabric/rma.ts';
import { fi_trecv, fi_tsend } from '../../../node/fabric/tagged.ts';
import { pattern } from '../verbs/world.ts';
import { connected, FabricWorld, host, text } from './world.ts';

describe('RMA between two endpoints', () => {
  it('fi_write moves device memory to device memory and completes with the context', async () => {
    const world = await connected();
    const [a, b] = [world.rank(0), world.rank(1)];
    const source = await a.register(300_000);
    const target = await b.register(300_000);
    source.memory.bytes.set(pattern(300_000, 1));
    const local = {
      kind: 'mr',
      mr: source.mr,
      address: source.mr.address,
      length: 300_000,
    } as const;
    expect(fi_write(a.endpoint, local, 1, target.mr.address, target.mr.key, 'w')).toBeUndefined();
    await world.until(() => a.completions.length === 1);
    expect(a.completions).toMatchObject([
      { kind: 'write', context: 'w', length: 300_000, source: 1 },
    ]);
    expect(Buffer.compare(target.memory.bytes, source.memory.bytes)).toBe(0);
    expect(b.completions).toEqual([]);
    expect(fi_ep_counters(a.endpoint)).toMatchObject({
      rmaBytesSent: 300_000,
      rmaBytesReceived: 0,
    });
    expect(fi_ep_counters(b.endpoint)).toMatchObject({
      rmaBytesSent: 0,
      rmaBytesReceived: 300_000,
    });
  });

  it('fi_writedata tells the target, behind the bytes', async () => {
    const world = await connected();
    const [a, b] = [world.rank(0), world.rank(1)];
    const source = await a.register(8192);
    const target = await b.register(8192);
    source.memory.bytes.fill(3);
    const local = { kind: 'mr', mr: source.mr, address: source.mr.address, length: 8192 } as const;
    fi_writedata(a.endpoint, local, 0xffff_fff0, 1, target.mr.address, target.mr.key, 'w');
    await world.until(() => b.completions.length === 1);
    expect(b.completions).toMatchObject([
      { kind: 'remoteWriteData', context: undefined, data: 0xffff_fff0, length: 8192, source: 0 },
    ]);
    expect(target.memory.bytes).toEqual(source.memory.bytes);
  });

  it('fi_read fetches, also from itself', async () => {
    const world = await connected(1);
    const a = world.rank(0);
    const source = await a.register(4096);
    const sink = await a.register(4096);
    source.memory.bytes.set(pattern(4096, 2));
    const local = { kind: 'mr', mr: sink.mr, address: sink.mr.address, length: 4096 } as const;
    fi_read(a.endpoint, local, 0, source.mr.address, source.mr.key, 'r');
    await world.until(() => a.completions.length === 1);
    expect(a.completions).toMatchObject([{ kind: 'read', context: 'r', length: 4096 }]);
    expect(sink.memory.bytes).toEqual(source.memory.bytes);
  });

  it('a wrong key ends with FI_EIO and IBV_WC_REM_ACCESS_ERR; what is behind it is not lost', async () => {
    const world = await connected();
    const [a, b] = [world.rank(0), world.rank(1)];
    const source = await a.register(4096);
    source.memory.bytes.fill(9);
    const target = await b.register(4096);
    const local = { kind: 'mr', mr: source.mr, address: source.mr.address, length: 4096 } as const;
    fi_write(a.endpoint, local, 1, target.mr.address, target.mr.key + 1n, 'bad');
    fi_write(a.endpoint, local, 1, target.mr.address, target.mr.key, 'next');
    await world.until(() => a.completions.length === 1);
    expect(a.errors).toMatchObject([
      { context: 'bad', err: 'FI_EIO', prov_errno: 'IBV_WC_REM_ACCESS_ERR', peer: 1 },
    ]);
    expect(a.completions).toMatchObject([{ context: 'next' }]);
    expect(target.memory.bytes).toEqual(source.memory.bytes);
  });
});

describe('messages', () => {
  it('a tagged message finds the receive with its tag, whichever was posted first', async () => {
    const world = await connected();
    const [a, b] = [world.rank(0), world.rank(1)];
    const [one, two] = [new Uint8Array(8), new Uint8Array(8)];
    fi_trecv(b.endpoint, one, FI_ADDR_UNSPEC, 1n, 0n, 'one');
    fi_trecv(b.endpoint, two, 0, 2n, 0n, 'two');
    fi_tsend(a.endpoint, host(text('second')), 1, 2n, 's');
    fi_tsend(a.endpoint, host(text('first')), 1, 1n, 's');
    await world.until(() => b.completions.length === 2);
    expect(b.completions).toMatchObject([
      { kind: 'recv', context: 'two', tag: 2n, length: 6, source: 0 },
      { kind: 'recv', context: 'one', tag: 1n, length: 5, source: 0 },
    ]);
    expect(one.subarray(0, 5)).toEqual(text('first'));
  });

  it('messages that come before their receive wait, in order of arrival', async () => {
    const world = await connected();
    const [a, b] = [world.rank(0), world.rank(1)];
    for (const word of ['x1', 'x2', 'y1']) {
      fi_tsend(a.endpoint, host(text(word)), 1, word.startsWith('x') ? 7n : 8n, word);
    }
    await world.until(() => a.completions.length === 3);
    const buffers = [new Uint8Array(2), new Uint8Array(2), new Uint8Array(2)] as const;
    fi_trecv(b.endpoint, buffers[0], FI_ADDR_UNSPEC, 8n, 0n, 'y');
    fi_trecv(b.endpoint, buffers[1], FI_ADDR_UNSPEC, 0n, 0xffn, 'any');
    fi_trecv(b.endpoint, buffers[2], 0, 7n, 0n, 'x');
    await world.until(() => b.completions.length === 3);
    expect(buffers.map((bytes) => new TextDecoder().decode(bytes))).toEqual(['y1', 'x1', 'x2']);
  });

  it('untagged and tagged messages do not mix', async () => {
    const world = await connected();
    const [a, b] = [world.rank(0), world.rank(1)];
    fi_recv(b.endpoint, new Uint8Array(4), FI_ADDR_UNSPEC, 'plain');
    fi_trecv(b.endpoint, new Uint8Array(4), FI_ADDR_UNSPEC, 0n, ~0n, 'tagged');
    fi_tsend(a.endpoint, host(text('t')), 1, 5n, 's');
    fi_send(a.endpoint, host(text('p')), 1, 's');
    await world.until(() => b.completions.length === 2);
    expect(b.completions.map(({ context }) => context)).toEqual(['tagged', 'plain']);
  });

  it('a directed receive takes messages of its source only', async () => {
    const world = await connected(3);
    const [a, b, c] = [world.rank(0), world.rank(1), world.rank(2)];
    fi_trecv(c.endpoint, new Uint8Array(4), 1, 1n, 0n, 'from 1');
    fi_tsend(a.endpoint, host(text('a')), 2, 1n, 's');
    await world.wait(5);
    expect(c.completions).toEqual([]);
    fi_tsend(b.endpoint, host(text('b')), 2, 1n, 's');
    await world.until(() => c.completions.length === 1);
    expect(c.completions).toMatchObject([{ context: 'from 1', source: 1 }]);
  });

  it('a message that is too long for its receive is a truncation error that says by how much', async () => {
    const world = await connected();
    const [a, b] = [world.rank(0), world.rank(1)];
    const bytes = new Uint8Array(4);
    fi_trecv(b.endpoint, bytes, FI_ADDR_UNSPEC, 1n, 0n, 'short');
    fi_tsend(a.endpoint, host(text('0123456789')), 1, 1n, 's');
    await world.until(() => b.errors.length === 1);
    expect(b.errors).toMatchObject([{ context: 'short', err: 'FI_ETRUNC', olen: 6, peer: 0 }]);
    expect(bytes).toEqual(text('0123'));
  });

  it.each([0, 1, SEGMENT_BYTES, SEGMENT_BYTES + 1, EAGER_BYTES])(
    'a message of %i bytes is sent at once, in segments',
    async (length) => {
      const world = await connected();
      const [a, b] = [world.rank(0), world.rank(1)];
      const bytes = new Uint8Array(length);
      fi_trecv(b.endpoint, bytes, FI_ADDR_UNSPEC, 1n, 0n, 'r');
      const sent = pattern(length, 4);
      fi_tsend(a.endpoint, host(sent.slice()), 1, 1n, 's');
      await world.until(() => b.completions.length === 1);
      expect(bytes).toEqual(sent);
      const segments = Math.max(1, Math.ceil(length / SEGMENT_BYTES));
      const messageBytesSent = length + segments * MESSAGE_HEADER_BYTES;
      expect(fi_ep_counters(a.endpoint)).toMatchObject({ messageBytesSent });
      expect(fi_ep_counters(b.endpoint)).toMatchObject({ messageBytesReceived: messageBytesSent });
    },
  );

  it('a host buffer may change once the call has returned; a region is sent from where it lies', async () => {
    const world = await connected();
    const [a, b] = [world.rank(0), world.rank(1)];
    const sent = text('keep');
    fi_tsend(a.endpoint, host(sent), 1, 1n, 's');
    sent.fill(0);
    const { memory, mr } = await a.register(4096);
    memory.bytes.set(text('device'), 100);
    fi_tsend(a.endpoint, { kind: 'mr', mr, address: mr.address + 100, length: 6 }, 1, 2n, 's');
    const [one, two] = [new Uint8Array(4), new Uint8Array(6)];
    fi_trecv(b.endpoint, one, FI_ADDR_UNSPEC, 1n, 0n, 1);
    fi_trecv(b.endpoint, two, FI_ADDR_UNSPEC, 2n, 0n, 2);
    await world.until(() => b.completions.length === 2);
    expect([one, two]).toEqual([text('keep'), text('device')]);
  });

  it('a cancelled receive ends once, with FI_ECANCELED, and the message goes to the next', async () => {
    const world = await connected();
    const [a, b] = [world.rank(0), world.rank(1)];
    fi_trecv(b.endpoint, new Uint8Array(4), FI_ADDR_UNSPEC, 1n, 0n, 'gone');
    fi_trecv(b.endpoint, new Uint8Array(4), FI_ADDR_UNSPEC, 1n, 0n, 'stays');
    fi_cancel(b.endpoint, 'gone');
    fi_cancel(b.endpoint, 'gone');
    fi_tsend(a.endpoint, host(text('hi')), 1, 1n, 's');
    await world.until(() => b.completions.length === 1);
    expect(b.errors).toMatchObject([{ context: 'gone', err: 'FI_ECANCELED', kind: 'recv' }]);
    expect(b.completions).toMatchObject([{ context: 'stays' }]);
  });
});

describe('credits and back-pressure', () => {
  it('posting before the connection is there is FI_EAGAIN, and onProgress tells when to try again', async () => {
    const world = new FabricWorld(2);
    const [a, b] = [world.rank(0), world.rank(1)];
    fi_av_insert(a.av, [a.name, b.name]);
    let answer = fi_tsend(a.endpoint, host(text('x')), 1, 1n, 's');
    expect(answer).toBe('FI_EAGAIN');
    a.onProgress = () => {
      answer = fi_tsend(a.endpoint, host(text('x')), 1, 1n, 's');
    };
    await world.wait(500);
    expect(answer).toBe('FI_EAGAIN');
    fi_av_insert(b.av, [a.name, b.name]);
    await world.until(() => answer === undefined);
    await world.until(() => a.completions.length === 1);
  });

  it('posts until FI_EAGAIN, drains, and loses nothing: resmgmt_test of fabtests', async () => {
    const world = await connected(2, { rank: () => ({ cqSize: 4 }) });
    const [a, b] = [world.rank(0), world.rank(1)];
    b.reading = false;
    const total = 5000;
    let posted = 0;
    const pump = () => {
      while (posted < total) {
        const bytes = text(String(posted));
        if (fi_tsend(a.endpoint, host(bytes), 1, 1n, posted) === 'FI_EAGAIN') return;
        posted++;
      }
    };
    a.onProgress = pump;
    pump();
    await world.wait(50);
    // Nothing is received: the unexpected queue takes its share, then the sender is turned away.
    expect(posted).toBeGreaterThan(1000);
    expect(posted).toBeLessThan(1500);
    b.reading = true;
    const received: string[] = [];
    const buffer = new Uint8Array(8);
    while (received.length < total) {
      fi_trecv(b.endpoint, buffer, FI_ADDR_UNSPEC, 1n, 0n, received.length);
      await world.until(() => b.completions.length > 0);
      const [completion] = b.completions.splice(0);
      received.push(new TextDecoder().decode(buffer.subarray(0, completion?.length)));
    }
    expect(received).toEqual(Array.from({ length: total }, (_, index) => String(index)));
    expect(a.completions.map(({ context }) => context)).toEqual(received.map(Number));
    expect([...a.errors, ...b.errors]).toEqual([]);
  }, 20_000);

  it('writes with data stop at the credits while nobody reads, and all arrive once somebody does', async () => {
    const world = await connected(2, { rank: () => ({ cqSize: 8 }) });
    const [a, b] = [world.rank(0), world.rank(1)];
    const source = await a.register(4096);
    const target = await b.register(4096);
    b.reading = false;
    const local = { kind: 'mr', mr: source.mr, address: source.mr.address, length: 64 } as const;
    let posted = 0;
    const pump = () => {
      while (posted < 500) {
        const { address, key } = target.mr;
        if (fi_writedata(a.endpoint, local, posted, 1, address, key, posted) !== undefined) return;
        posted++;
      }
    };
    a.onProgress = pump;
    pump();
    await world.wait(1000);
    // The last credits are kept for acknowledgements.
    expect(posted).toBe(RECV_DEPTH - CONTROL_CREDITS + 8);
    b.reading = true;
    b.drain();
    await world.until(() => b.completions.length === 500);
    expect(b.completions.map(({ data }) => data)).toEqual(Array.from({ length: 500 }, (_, i) => i));
  });

  it('the queue tells of new completions once, until it has been emptied', async () => {
    const world = await connected();
    const [a, b] = [world.rank(0), world.rank(1)];
    b.reading = false;
    for (let index = 0; index < 3; index++) {
      fi_trecv(b.endpoint, new Uint8Array(4), FI_ADDR_UNSPEC, 1n, 0n, index);
      fi_tsend(a.endpoint, host(text('x')), 1, 1n, index);
      await world.wait(5);
    }
    expect(b.notified).toBe(1);
    b.drain();
    expect(b.completions).toHaveLength(3);
    fi_trecv(b.endpoint, new Uint8Array(4), FI_ADDR_UNSPEC, 1n, 0n, 3);
    fi_tsend(a.endpoint, host(text('x')), 1, 1n, 3);
    await world.wait(5);
    expect(b.notified).toBe(2);
  });
});

describe('acknowledgements', () => {
  async function repliesTo(messages: number, isBurst: boolean): Promise<number> {
    const world = await connected();
    const [a, b] = [world.rank(0), world.rank(1)];
    const before = a.nic.transport.counters('host-1').framesReceived;
    for (let index = 0; index < messages; index++) {
      fi_trecv(b.endpoint, new Uint8Array(4), FI_ADDR_UNSPEC, 1n, 0n, index);
      fi_tsend(a.endpoint, host(text('x')), 1, 1n, index);
      if (!isBurst) await world.until(() => b.completions.length === index + 1);
    }
    await world.until(() => b.completions.length === messages);
    await world.wait(1);
    return a.nic.transport.counters('host-1').framesReceived - before;
  }

  it('a lone message costs one frame back, which brings the credit for its receive too', async () => {
    expect(await repliesTo(100, false)).toBe(100);
  });

  it('what arrives together is acknowledged together', async () => {
    expect(await repliesTo(50, true)).toBeLessThanOrEqual(2);
  });
});
