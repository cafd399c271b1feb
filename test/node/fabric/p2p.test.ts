/** RMA of provider `p2p` on hosts of one machine: real files, real mappings, links in virtual time. */
import { afterEach, describe, expect, it } from 'vitest';
import { MiB } from '../../../common/bytes.ts';
import { fi_close } from '../../../node/fabric/close.ts';
import { COPY_BYTES_MAX } from '../../../node/fabric/direct-rma.ts';
import { fi_ep_counters } from '../../../node/fabric/endpoint.ts';
import { fi_read, fi_write, fi_writedata, fi_writemsg } from '../../../node/fabric/rma.ts';
import { fi_trecv, fi_tsend } from '../../../node/fabric/tagged.ts';
import { contexts, failures, part } from '../../conformance/fabric-world.ts';
import { isMissing, whyMissing } from '../os/this-system.ts';
import { pattern } from '../verbs/world.ts';
import { BYTES, closeWorld, finished, linkBytes, pair, same, scene, windows } from './p2p-scene.ts';
import { host, ok, text } from './world.ts';

afterEach(closeWorld);

describe.skipIf(isMissing)(`RMA through windows${whyMissing}`, () => {
  it('a write is in the peer’s memory when the call returns, and no byte goes over the link', async () => {
    const { world: made, a, b, source, target, write } = await scene();
    expect(write('w')).toBeUndefined();
    same(target.memory.bytes, source.memory.bytes);
    expect(contexts(a)).toEqual([]);
    await finished(made, a, 1);
    expect(a.completions).toMatchObject([
      { kind: 'write', context: 'w', flags: ['FI_WRITE', 'FI_RMA'] },
    ]);
    expect([linkBytes(b), fi_ep_counters(a.endpoint).rmaBytesSent]).toEqual([0, BYTES]);
  });

  it('a read takes from where the bytes lie', async () => {
    const { world: made, a, source, target, address, key } = await scene();
    target.memory.bytes.set(pattern(BYTES, 2));
    const local = part(source.mr, 64, BYTES - 64);
    expect(fi_read(a.endpoint, local, 1, address + 64, key, 'r')).toBeUndefined();
    same(source.memory.bytes.subarray(64), target.memory.bytes.subarray(64));
    same(source.memory.bytes.subarray(0, 64), pattern(BYTES, 1).subarray(0, 64));
    await finished(made, a, 1);
    expect(contexts(a)).toEqual(['r']);
  });

  it('a write with data is told behind its bytes, with their number', async () => {
    const { world: made, a, b, source, target, address, key } = await scene();
    for (const data of [7, 8, 0xffff_ffff]) {
      expect(
        fi_writedata(a.endpoint, part(source.mr), data, 1, address, key, data),
      ).toBeUndefined();
    }
    await finished(made, b, 3);
    await finished(made, a, 3);
    same(target.memory.bytes, source.memory.bytes);
    const told = (data: number) => ({ kind: 'remoteWriteData', data, length: BYTES, source: 0 });
    expect(b.completions).toMatchObject([told(7), told(8), told(0xffff_ffff)]);
    expect(contexts(a)).toEqual([7, 8, 0xffff_ffff]);
    // All three went past the link, though the first was not acknowledged when the others were posted.
    expect([linkBytes(b), fi_ep_counters(a.endpoint).rmaBytesSent]).toEqual([0, 3 * BYTES]);
  });

  it('the first request goes over the link, and asks for the window', async () => {
    const { world: made, a, b, source, target, write } = await scene('none');
    expect([write('first'), windows(a, 1)]).toEqual([undefined, 0]);
    await finished(made, a, 1);
    await made.wait(1);
    expect([windows(a, 1), linkBytes(b)]).toEqual([1, BYTES]);
    source.memory.bytes.fill(3);
    write('second');
    same(target.memory.bytes, source.memory.bytes);
    expect(linkBytes(b)).toBe(BYTES);
  });

  it('nothing is overtaken: behind a message under way, a write goes over the link', async () => {
    const { world: made, a, b, target, write } = await scene();
    fi_trecv(b.endpoint, new Uint8Array(8), 0, 1n, 0n, 'r');
    ok(fi_tsend(a.endpoint, host(text('first')), 1, 1n, 's'));
    expect(write('w')).toBeUndefined();
    expect(target.memory.bytes.every((byte) => byte === 0)).toBe(true);
    await finished(made, a, 2);
    expect([contexts(a), linkBytes(b)]).toEqual([['s', 'w'], BYTES]);
  });

  it('what is longer than a turn may take is copied in several, and nothing is posted meanwhile', async () => {
    const made = await pair();
    const { a, b } = made;
    const length = COPY_BYTES_MAX + MiB;
    const [source, target] = [await a.register(length), await b.register(length)];
    source.memory.bytes.fill(5);
    const { address, key } = target.mr;
    const fields = { dest: 1, remoteAddress: address, key };
    const message = { ...fields, local: part(source.mr), data: 9, context: 'long' };
    ok(fi_writemsg(a.endpoint, message, ['FI_REMOTE_CQ_DATA']));
    expect(target.memory.bytes[COPY_BYTES_MAX]).toBe(0);
    expect(fi_tsend(a.endpoint, host(text('x')), 1, 1n, 's')).toBe('FI_EAGAIN');
    expect(fi_write(a.endpoint, part(source.mr, 0, 1), 1, address, key, 'w')).toBe('FI_EAGAIN');
    const before = a.progressed;
    await finished(made.world, b, 1);
    await finished(made.world, a, 1);
    expect(a.progressed).toBeGreaterThan(before);
    expect(target.memory.bytes.every((byte) => byte === 5)).toBe(true);
    expect(b.completions).toMatchObject([{ data: 9, length }]);
    expect(linkBytes(b)).toBe(0);
  });

  it('ends wait for room in the queue, in their order', async () => {
    const made = await pair((index) => (index === 0 ? { cqSize: 4 } : {}));
    const { a } = made;
    const [source, target] = [await a.register(BYTES), await made.b.register(BYTES)];
    const { address, key } = target.mr;
    a.reading = false;
    for (let index = 0; index < 10; index++) {
      ok(fi_write(a.endpoint, part(source.mr), 1, address, key, index));
    }
    await made.world.wait(10);
    expect(a.completions).toEqual([]);
    a.reading = true;
    a.drain();
    await finished(made.world, a, 10);
    expect(contexts(a)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  });
});

describe.skipIf(isMissing)(`requests that no window serves${whyMissing}`, () => {
  it('of a range outside of the region end as on the link, and store nothing', async () => {
    const { world: made, a, b, source, target, address, key, write } = await scene();
    const one = part(source.mr, 0, 1);
    // The last one is inside of the file that is mapped, for which the region was too short to fill it.
    const short = await b.register(100);
    write(0, part(source.mr), address + 1);
    write(1, one, address - 1);
    write(2, one, address + BYTES);
    fi_read(a.endpoint, one, 1, address + BYTES, key, 3);
    fi_write(a.endpoint, one, 1, short.mr.address + 100, short.mr.key, 4);
    await finished(made, a, 5);
    expect(failures(a)).toEqual(
      [0, 1, 2, 3, 4].map((context) => [context, 'FI_EIO', 'IBV_WC_REM_ACCESS_ERR']),
    );
    expect(target.memory.bytes.every((byte) => byte === 0)).toBe(true);
  });

  it('of local memory that may not be written, or is closed, end as on the link', async () => {
    const { world: made, a, source, target, address, key, write } = await scene();
    const readOnly = await a.register(BYTES, ['FI_WRITE']);
    target.memory.bytes.fill(1);
    fi_read(a.endpoint, part(readOnly.mr), 1, address, key, 'r');
    await finished(made, a, 1);
    const local = part(source.mr);
    fi_close(source.mr);
    write('w', local);
    await finished(made, a, 2);
    expect(failures(a)).toEqual([
      ['r', 'FI_EIO', 'IBV_WC_LOC_PROT_ERR'],
      ['w', 'FI_EIO', 'IBV_WC_LOC_PROT_ERR'],
    ]);
    expect(readOnly.memory.bytes.every((byte) => byte === 0)).toBe(true);
    expect(target.memory.bytes.every((byte) => byte === 1)).toBe(true);
  });

  it.each([['FI_REMOTE_READ'], ['FI_REMOTE_WRITE']] as const)(
    'of a region that grants %s alone use the link: with the file a peer could do both',
    async (right) => {
      const { world: made, a, b, source } = await scene();
      const mine = windows(a, 1);
      const { mr } = await b.register(BYTES, [right]);
      expect(windows(a, 1)).toBe(mine);
      fi_write(a.endpoint, part(source.mr), 1, mr.address, mr.key, 'w');
      fi_read(a.endpoint, part(source.mr), 1, mr.address, mr.key, 'r');
      await finished(made, a, 2);
      const [allowed, refused] = right === 'FI_REMOTE_READ' ? ['r', 'w'] : ['w', 'r'];
      expect(contexts(a)).toEqual([allowed]);
      expect(failures(a)).toEqual([[refused, 'FI_EIO', 'IBV_WC_REM_ACCESS_ERR']]);
    },
  );

  it('of keys that mean nothing end as on the link', async () => {
    const { world: made, a, source, address } = await scene();
    for (const key of [0n, 1n, 0xffff_ffffn]) {
      fi_write(a.endpoint, part(source.mr), 1, address, key, key);
      await finished(made, a, Number(a.errors.length + 1));
    }
    expect(new Set(a.errors.map(({ prov_errno }) => prov_errno))).toEqual(
      new Set(['IBV_WC_REM_ACCESS_ERR']),
    );
  });

  it('between a host that shares memory and one that does not use the link', async () => {
    const made = await pair((index) => (index === 1 ? { providers: 'memory' } : {}));
    const { a, b } = made;
    const [source, target] = [await a.register(BYTES), await b.register(BYTES)];
    source.memory.bytes.fill(1);
    const { address, key } = target.mr;
    for (const context of ['one', 'two']) {
      ok(fi_write(a.endpoint, part(source.mr), 1, address, key, context));
      await made.world.wait(5);
    }
    expect([contexts(a), windows(a, 1), linkBytes(b)]).toEqual([['one', 'two'], 0, 2 * BYTES]);
    same(target.memory.bytes, source.memory.bytes);
  });
});
