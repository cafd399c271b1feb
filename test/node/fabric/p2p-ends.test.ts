/** How windows of provider `p2p` end, how many there are, and that nothing of them is left. */
import { afterEach, describe, expect, it } from 'vitest';
import { fi_av_insert, fi_av_remove } from '../../../node/fabric/av.ts';
import { fi_close } from '../../../node/fabric/close.ts';
import { COPY_BYTES_MAX } from '../../../node/fabric/direct-rma.ts';
import type { FiMr } from '../../../node/fabric/fabric.ts';
import { fi_mr_regattr } from '../../../node/fabric/mr.ts';
import { WINDOWS_MAX } from '../../../node/fabric/peer-windows.ts';
import { fi_read, fi_write } from '../../../node/fabric/rma.ts';
import { contexts, failures, part } from '../../conformance/fabric-world.ts';
import { isMissing, openDescriptors, whyMissing } from '../os/this-system.ts';
import { pattern } from '../verbs/world.ts';
import { BYTES, closeWorld, finished, linkBytes, pair, same, scene, windows } from './p2p-scene.ts';
import { EVERY_ACCESS, ok } from './world.ts';

afterEach(closeWorld);

describe.skipIf(isMissing)(`the end of a window${whyMissing}`, () => {
  /** `end` is run; requests after it must fail as those on the link do, and not a byte arrives. */
  async function endsWith(end: (made: Awaited<ReturnType<typeof scene>>) => void, status: string) {
    const made = await scene();
    const { a, source, target, address, key, write } = made;
    write('before');
    const before = target.memory.bytes.slice();
    end(made);
    source.memory.bytes.fill(9);
    expect(write('write')).toBeUndefined();
    await finished(made.world, a, 2);
    fi_read(a.endpoint, part(source.mr), 1, address, key, 'read');
    await finished(made.world, a, 3);
    expect(contexts(a)).toEqual(['before']);
    expect(failures(a)).toEqual([
      ['write', 'FI_EIO', status],
      ['read', 'FI_EIO', status],
    ]);
    same(target.memory.bytes, before);
    expect(windows(a, 1)).toBe(0);
    return made;
  }

  it('is that of the region', async () => {
    await endsWith(({ target }) => fi_close(target.mr), 'IBV_WC_REM_ACCESS_ERR');
  });

  it('is that of the exporter’s leave', async () => {
    await endsWith(({ target }) => target.memory.takeBack(), 'IBV_WC_REM_ACCESS_ERR');
  });

  it('is that of another region of the same buffer, whose own window is made again', async () => {
    const { world: made, a, b, source, target } = await scene();
    const dmabuf = { fd: target.fd, offset: 0, len: BYTES, base_addr: 0x40_0000 };
    const attr = { dmabuf, access: EVERY_ACCESS, iface: 'FI_HMEM_SYNAPSEAI' } as const;
    const twin = ok(await fi_mr_regattr(b.domain, attr, ['FI_MR_DMABUF']));
    a.endpoint.connection(1)?.direct?.want(Number(twin.key));
    await made.wait(1);
    expect(windows(a, 1)).toBe(2);
    fi_close(target.mr);
    const write = () => fi_write(a.endpoint, part(source.mr), 1, twin.address, twin.key, 'w');
    ok(write());
    await finished(made, a, 1);
    same(target.memory.bytes, source.memory.bytes);
    await made.wait(1);
    source.memory.bytes.fill(4);
    ok(write());
    same(target.memory.bytes, source.memory.bytes);
    await finished(made, a, 2);
    expect([contexts(a), linkBytes(b)]).toEqual([['w', 'w'], BYTES]);
  });

  it('in the middle of a long write has it done again over the link, which refuses it', async () => {
    const { world: made, a, b } = await pair();
    const length = 2 * COPY_BYTES_MAX;
    const [source, target] = [await a.register(length), await b.register(length)];
    source.memory.bytes.fill(5);
    const { address, key } = target.mr;
    ok(fi_write(a.endpoint, part(source.mr), 1, address, key, 'long'));
    expect(target.memory.bytes[0]).toBe(5);
    fi_close(target.mr);
    await finished(made, a, 1);
    expect(failures(a)).toEqual([['long', 'FI_EIO', 'IBV_WC_REM_ACCESS_ERR']]);
    expect(target.memory.bytes[length - 1]).toBe(0);
  });

  it('is that of its process, after which the peer is lost as on the link', async () => {
    const { world: made, a, b, source, write, target } = await scene();
    write('before');
    b.process.exit();
    source.memory.bytes.fill(9);
    const posted = write('after');
    expect([undefined, 'FI_EAGAIN']).toContain(posted);
    same(target.memory.bytes, pattern(BYTES, 1));
    expect(contexts(a)).toEqual([]);
    await finished(made, a, 1);
    expect(contexts(a)).toEqual(['before']);
    await made.wait(60_000);
    expect(a.errors.map(({ context }) => context)).toEqual(posted === undefined ? ['after'] : []);
  });

  it('is that of its host, after which no request is reported as done', async () => {
    const { world: made, a, target, source, write } = await scene();
    write('before');
    await made.kill(1);
    await made.wait(1);
    source.memory.bytes.fill(9);
    const posted = write('after');
    await made.wait(60_000);
    expect(contexts(a)).toEqual(['before']);
    expect(a.errors.map(({ context }) => context)).toEqual(posted === undefined ? ['after'] : []);
    same(target.memory.bytes, pattern(BYTES, 1));
    expect([windows(a, 1), write('late')]).toEqual([0, 'FI_EHOSTUNREACH']);
  });

  it('is that of the connection: neither side has anything mapped', async () => {
    const { world: made, a, b, source, target } = await scene();
    fi_write(b.endpoint, part(target.mr), 0, source.mr.address, source.mr.key, 'back');
    await made.wait(5);
    fi_av_remove(a.av, 1);
    expect(made.hosts.map(({ hbm }) => hbm.importCount)).toEqual([0, 3]);
    fi_av_remove(b.av, 0);
    expect(made.hosts.map(({ hbm }) => hbm.importCount)).toEqual([0, 0]);
  });
});

describe.skipIf(isMissing)(`a connection that begins anew${whyMissing}`, () => {
  it('gets windows of its own, as the other side does of it', async () => {
    const { world: made, a, b, source, target, address, key } = await scene();
    for (let round = 0; round < 3; round++) {
      const peer = round === 0 ? 1 : Number(fi_av_insert(a.av, [b.name])[0]);
      await made.wait(10);
      const write = (context: unknown) =>
        fi_write(a.endpoint, part(source.mr), peer, address, key, context);
      await made.post(() => write('asks'));
      await finished(made, a, 2 * round + 1);
      await made.wait(1);
      const before = linkBytes(b);
      source.memory.bytes.fill(round + 1);
      await made.post(() => write('copies'));
      same(target.memory.bytes, source.memory.bytes);
      await finished(made, a, 2 * round + 2);
      expect([linkBytes(b), windows(a, peer)]).toEqual([before, 1]);
      const back = (context: unknown) =>
        fi_read(b.endpoint, part(target.mr), 0, source.mr.address, source.mr.key, context);
      await made.post(() => back('asks'));
      await finished(made, b, round + 1);
      await made.wait(1);
      expect(windows(b, 0)).toBe(1);
      fi_av_remove(a.av, peer);
      expect(made.hosts[0]?.hbm.importCount).toBe(0);
    }
    expect([...a.errors, ...b.errors]).toEqual([]);
  });
});

describe.skipIf(isMissing)(`many windows${whyMissing}`, () => {
  it('are not more than there may be, and those that are closed make room', async () => {
    const { world: made, a, b, source } = await scene('none');
    const small = part(source.mr, 0, 8);
    const write = async ({ address, key }: FiMr) => {
      ok(fi_write(a.endpoint, small, 1, address, key, key));
      await made.wait(1);
    };
    const regions: FiMr[] = [];
    for (let index = 0; index < WINDOWS_MAX + 8; index++) regions.push((await b.register(8)).mr);
    for (const mr of regions) await write(mr);
    expect(windows(a, 1)).toBe(WINDOWS_MAX);
    for (const mr of regions.slice(0, 100)) fi_close(mr);
    for (const mr of regions.slice(100)) await write(mr);
    expect(windows(a, 1)).toBe(regions.length - 100);
    expect(a.errors).toEqual([]);
  });

  it('leave neither a descriptor nor a mapping behind', async () => {
    const before = openDescriptors();
    for (let round = 0; round < 5; round++) {
      const { world: made, a, b, source, target } = await scene();
      const regions = [await b.register(64), await b.register(BYTES)];
      for (const { mr } of regions) {
        ok(fi_write(a.endpoint, part(source.mr, 0, 64), 1, mr.address, mr.key, 'w'));
      }
      await finished(made, a, 2);
      await closeWorld();
      for (const { memory } of [source, target, ...regions]) memory.dmaBuf.file.put();
      expect(made.hosts.map(({ hbm }) => hbm.allocatedCount)).toEqual([0, 0]);
      expect(openDescriptors()).toBe(before);
    }
  });
});
