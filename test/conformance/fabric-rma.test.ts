/** Fabric conformance: fabtests/functional and prov/lpp, memory that is read, written and counted. */
import { describe, expect } from 'vitest';
import { defined } from '../../common/assert.ts';
import {
  ATOMIC_OPS,
  FI_DATATYPES,
  FI_OPS,
  type FiAtomicTarget,
  fi_atomic,
  fi_atomicvalid,
  fi_compare_atomic,
  fi_fetch_atomic,
} from '../../node/fabric/atomic.ts';
import { fi_av_insert } from '../../node/fabric/av.ts';
import { fi_close } from '../../node/fabric/close.ts';
import {
  type FiCntr,
  fi_cntr_open,
  fi_cntr_read,
  fi_cntr_readerr,
  fi_cntr_wait,
} from '../../node/fabric/cntr.ts';
import { fi_cq_read, fi_cq_readerr } from '../../node/fabric/cq.ts';
import { fi_domain, fi_fabric } from '../../node/fabric/domain.ts';
import { fi_enable, fi_endpoint, fi_ep_bind } from '../../node/fabric/endpoint.ts';
import type { FiErrno, FiInfo } from '../../node/fabric/fabric.ts';
import { fi_mr_reg } from '../../node/fabric/mr.ts';
import { fi_read, fi_write, fi_writedata, fi_writemsg } from '../../node/fabric/rma.ts';
import { fi_trecv, fi_trecvmsg, fi_tsend, fi_tsendmsg } from '../../node/fabric/tagged.ts';
import { EVERY_ACCESS, host, ok, type Rank, type RankInit, text } from '../node/fabric/world.ts';
import { pattern } from '../node/verbs/world.ts';
import { behaves, behavesCompletely } from './fabric-behaviours.ts';
import {
  contexts,
  FABRIC_PROVIDERS,
  fabricWorlds,
  failures,
  pairOf,
  part,
} from './fabric-world.ts';

/** Counters of a rank, bound by `bindCounters`. */
const counters = new WeakMap<Rank, Readonly<Record<'sent' | 'received' | 'written', FiCntr>>>();

function bindCounters(rank: Rank): void {
  const open = () => ok(fi_cntr_open(rank.domain));
  const bound = { sent: open(), received: open(), written: open() };
  ok(fi_ep_bind(rank.endpoint, bound.sent, ['FI_SEND', 'FI_WRITE', 'FI_READ']));
  ok(fi_ep_bind(rank.endpoint, bound.received, ['FI_RECV']));
  ok(fi_ep_bind(rank.endpoint, bound.written, ['FI_REMOTE_WRITE']));
  expect(fi_ep_bind(rank.endpoint, bound.sent, ['FI_SEND'])).toBe('FI_EOPBADSTATE');
  expect(fi_ep_bind(rank.endpoint, bound.sent, [])).toBe('FI_EBADFLAGS');
  expect(fi_ep_bind(rank.endpoint, bound.sent, ['FI_REMOTE_READ'])).toBe('FI_EOPNOTSUPP');
  counters.set(rank, bound);
}

const countersOf = (rank: Rank) => defined(counters.get(rank), 'counters');

describe.each(FABRIC_PROVIDERS)('fabric conformance, memory: $name', (provider) => {
  const { connected, strangers } = fabricWorlds(provider);
  const pair = (init?: (index: number) => RankInit) => pairOf(connected, init);

  behaves('multi_mr', 'writes to many regions, and counters that are exact', async () => {
    const { world, a, b } = await pair(() => ({ bind: bindCounters }));
    const source = await a.register(4096);
    source.memory.bytes.set(pattern(4096, 1));
    const targets = await Promise.all(Array.from({ length: 16 }, () => b.register(4096)));
    for (const [index, { mr }] of targets.entries()) {
      const local = part(source.mr, index * 256, 256);
      await world.post(() => fi_writedata(a.endpoint, local, index, 1, mr.address, mr.key, index));
    }
    expect(await world.settle(fi_cntr_wait(countersOf(b).written, 16, 10_000))).toBeUndefined();
    expect(await world.settle(fi_cntr_wait(countersOf(a).sent, 16, 10_000))).toBeUndefined();
    for (const [index, { memory }] of targets.entries()) {
      const expected = source.memory.bytes.subarray(index * 256, (index + 1) * 256);
      expect(memory.bytes.subarray(0, 256)).toEqual(expected);
    }
    expect(b.completions.map(({ data }) => data)).toEqual(targets.map((_, index) => index));
    const other = [countersOf(a).received, countersOf(a).written, countersOf(b).sent];
    expect(other.map(fi_cntr_read)).toEqual([0, 0, 0]);
    const { address, key } = defined(targets[0], 'a target').mr;
    await world.post(() => fi_write(a.endpoint, part(source.mr), 1, address, key + 999n, 'bad'));
    await world.until(() => a.errors.length === 1);
    expect([fi_cntr_read(countersOf(a).sent), fi_cntr_readerr(countersOf(a).sent)]).toEqual([
      16, 1,
    ]);
    expect(fi_cntr_read(countersOf(b).written)).toBe(16);
    expect(fi_close(countersOf(a).sent)).toBe('FI_EBUSY');
  });

  behaves('multi_ep', 'endpoints with a shared vector and queue', async () => {
    const { world, a, b } = await pair();
    const more = [1, 2, 3].map(() => {
      const endpoint = ok(fi_endpoint(a.domain, a.info, { epoch: 1 }));
      ok(fi_ep_bind(endpoint, a.av));
      ok(fi_ep_bind(endpoint, a.cq));
      ok(fi_enable(endpoint));
      fi_av_insert(b.av, [endpoint.name]);
      return endpoint;
    });
    for (const [index, endpoint] of more.entries()) {
      const buffer = new Uint8Array(8);
      fi_trecv(b.endpoint, buffer, 2 + index, 1n, 0n, `r${index}`);
      await world.post(() => fi_tsend(endpoint, host(text('x')), 1, 1n, `s${index}`));
    }
    await world.until(() => a.completions.length === 3 && b.completions.length === 3);
    expect(contexts(a).sort()).toEqual(['s0', 's1', 's2']);
    expect(fi_close(a.cq)).toBe('FI_EBUSY');
    for (const endpoint of more) expect(fi_close(endpoint)).toBeUndefined();
  });

  behaves('multi_ep', 'endpoints with vectors and queues of their own', async () => {
    const world = await connected(4);
    for (const rank of world.ranks) {
      fi_trecv(rank.endpoint, new Uint8Array(8), 0, 1n, 0n, 'r');
    }
    for (const dest of world.ranks.keys()) {
      await world.post(() => fi_tsend(world.rank(0).endpoint, host(text('x')), dest, 1n, 's'));
    }
    await world.until(() => world.ranks.every((rank) => contexts(rank).includes('r')));
    const others = world.ranks.slice(1).map(contexts);
    expect(others).toEqual([['r'], ['r'], ['r']]);
  });

  behaves('multi_ep', 'closes all regions and registers them again', async () => {
    const { world, a, b } = await pair();
    for (const round of [1, 2, 3]) {
      const regions = await Promise.all([a, b].map((rank) => rank.register(256)));
      const [source, target] = [defined(regions[0], 'a region'), defined(regions[1], 'a region')];
      source.memory.bytes.fill(round);
      const { address, key } = target.mr;
      fi_write(a.endpoint, part(source.mr), 1, address, key, round);
      await world.until(() => contexts(a).includes(round));
      expect(target.memory.bytes).toEqual(source.memory.bytes);
      for (const { mr } of regions) expect(fi_close(mr)).toBeUndefined();
    }
    expect(a.errors).toEqual([]);
  });

  async function withoutManagement(): Promise<FiInfo> {
    const { info } = (await strangers(1)).rank(0);
    return { ...info, domain_attr: { ...info.domain_attr, resource_mgmt: 'FI_RM_DISABLED' } };
  }

  /** Number at a place of `b`, and what `a` needs to work on it. */
  async function numbers() {
    const { world, a, b } = await pair();
    const target = await b.register(64);
    const there = target.memory.view;
    const at = (op: FiAtomicTarget['op'], offset = 0): FiAtomicTarget => ({
      dest: 1,
      remoteAddress: target.mr.address + offset,
      key: target.mr.key,
      datatype: 'FI_UINT64',
      op,
    });
    const run = async (post: () => FiErrno | undefined) => {
      const before = a.completions.length + a.errors.length;
      await world.post(post);
      await world.until(() => a.completions.length + a.errors.length > before);
    };
    return { world, a, b, target, there, at, run };
  }

  behaves(
    'rdm_atomic',
    'sum, fetching sum, fetching read and compare-and-swap of 64 bit',
    async () => {
      const { a, there, at, run } = await numbers();
      there.setBigUint64(8, 40n, true);
      await run(() => fi_atomic(a.endpoint, 2n, at('FI_SUM', 8), 'sum'));
      expect(there.getBigUint64(8, true)).toBe(42n);
      const result = new Uint8Array(8);
      const found = () => new DataView(result.buffer).getBigUint64(0, true);
      await run(() => fi_fetch_atomic(a.endpoint, -1n, result, at('FI_SUM', 8), 'fetch'));
      expect([found(), there.getBigUint64(8, true)]).toEqual([42n, 41n]);
      await run(() => fi_fetch_atomic(a.endpoint, 9n, result, at('FI_ATOMIC_READ', 8), 'read'));
      expect([found(), there.getBigUint64(8, true)]).toEqual([41n, 41n]);
      const own = await a.register(64);
      const here = part(own.mr, 16, 8);
      await run(() => fi_compare_atomic(a.endpoint, 7n, 40n, here, at('FI_CSWAP', 8), 'miss'));
      expect(there.getBigUint64(8, true)).toBe(41n);
      await run(() => fi_compare_atomic(a.endpoint, 7n, 41n, here, at('FI_CSWAP', 8), 'hit'));
      expect(there.getBigUint64(8, true)).toBe(7n);
      expect(own.memory.view.getBigUint64(16, true)).toBe(41n);
      expect(contexts(a)).toEqual(['sum', 'fetch', 'read', 'miss', 'hit']);
      expect(a.completions[0]).toMatchObject({ kind: 'atomic', flags: ['FI_WRITE', 'FI_ATOMIC'] });
      expect(a.completions[4]).toMatchObject({ flags: ['FI_READ', 'FI_ATOMIC'], length: 8 });
    },
  );

  behaves('rdm_atomic', 'every other operation and type is FI_EOPNOTSUPP', async () => {
    const { a, at } = await numbers();
    const result = new Uint8Array(8);
    for (const datatype of FI_DATATYPES) {
      for (const op of FI_OPS) {
        const target = { ...at(op), datatype };
        const calls = {
          atomic: () => fi_atomic(a.endpoint, 1n, target, 'c'),
          fetch: () => fi_fetch_atomic(a.endpoint, 1n, result, target, 'c'),
          compare: () => fi_compare_atomic(a.endpoint, 1n, 1n, result, target, 'c'),
        };
        for (const [name, call] of Object.entries(calls)) {
          const family = name as keyof typeof calls;
          const isThere = datatype === 'FI_UINT64' && ATOMIC_OPS[family].includes(op);
          expect(fi_atomicvalid(family, datatype, op)).toBe(isThere ? 1 : 'FI_EOPNOTSUPP');
          if (!isThere) expect(call()).toBe('FI_EOPNOTSUPP');
        }
      }
    }
    const short = new Uint8Array(4);
    expect(fi_fetch_atomic(a.endpoint, 1n, short, at('FI_SUM'), 'c')).toBe('FI_EINVAL');
  });

  behaves(
    'rdm_atomic',
    'what the target refuses ends with an error, and changes nothing',
    async () => {
      const { a, b, target, at, run } = await numbers();
      const before = target.memory.bytes.slice();
      const readOnly = await b.register(64, ['FI_REMOTE_READ']);
      const wrong: readonly FiAtomicTarget[] = [
        at('FI_SUM', 4),
        at('FI_SUM', 64),
        { ...at('FI_SUM'), key: target.mr.key + 77n },
        { ...at('FI_SUM'), key: readOnly.mr.key, remoteAddress: readOnly.mr.address },
      ];
      for (const [index, one] of wrong.entries()) {
        await run(() => fi_atomic(a.endpoint, 1n, one, index));
      }
      expect(failures(a)).toEqual([
        [0, 'FI_EIO', 'IBV_WC_REM_INV_REQ_ERR'],
        [1, 'FI_EIO', 'IBV_WC_REM_ACCESS_ERR'],
        [2, 'FI_EIO', 'IBV_WC_REM_ACCESS_ERR'],
        [3, 'FI_EIO', 'IBV_WC_REM_ACCESS_ERR'],
      ]);
      expect([target.memory.bytes, readOnly.memory.bytes]).toEqual([before, before]);
    },
  );

  behaves('unmap_mem', 'memory that is taken back after its use does not matter', async () => {
    const { world, a, b } = await pair();
    const target = await b.register(4096);
    for (const round of [1, 2, 3]) {
      const source = await a.register(4096);
      source.memory.bytes.fill(round);
      const { address, key } = target.mr;
      fi_write(a.endpoint, part(source.mr), 1, address, key, round);
      await world.until(() => contexts(a).includes(round));
      fi_close(source.mr);
      await world.settle(source.mr.released);
      a.process.fds.close(source.fd);
      source.memory.dmaBuf.file.put();
      expect(source.memory.released).toBe(true);
      source.memory.bytes.fill(0);
      expect(target.memory.bytes.every((byte) => byte === round)).toBe(true);
    }
    expect(a.errors).toEqual([]);
  });

  behaves(
    'rdm_multi_domain',
    'domains of one process do not reach each other’s regions',
    async () => {
      const { world, a, b } = await pair();
      const { nic, process, info } = b;
      const second = ok(fi_domain(fi_fabric(info), info, { nic, process }));
      const bytes = new Uint8Array(64);
      const theirs = ok(fi_mr_reg(second, bytes, EVERY_ACCESS, 0, 0n, []));
      const source = await a.register(64);
      source.memory.bytes.fill(1);
      fi_write(a.endpoint, part(source.mr), 1, theirs.address, theirs.key, 'w');
      await world.until(() => a.errors.length === 1);
      expect(failures(a)).toEqual([['w', 'FI_EIO', 'IBV_WC_REM_ACCESS_ERR']]);
      expect(bytes).toEqual(new Uint8Array(64));
      expect(fi_close(second)).toBe('FI_EBUSY');
      fi_close(theirs);
      expect(fi_close(second)).toBeUndefined();
    },
  );

  behaves('lpp', 'RMA out of bounds stores nothing', async () => {
    const { world, a, b } = await pair();
    const source = await a.register(256);
    source.memory.bytes.fill(1);
    const target = await b.register(256);
    const { address, key } = target.mr;
    const places: readonly (readonly [number, number])[] = [
      [address + 1, 256],
      [address - 1, 1],
      [address + 256, 1],
      [0, 1],
      [Number.MAX_SAFE_INTEGER - 300, 256],
    ];
    for (const [index, [place, length]] of places.entries()) {
      for (const call of [fi_write, fi_read]) {
        await world.post(() => call(a.endpoint, part(source.mr, 0, length), 1, place, key, index));
      }
    }
    await world.until(() => a.errors.length === 2 * places.length);
    expect(new Set(a.errors.map(({ prov_errno }) => prov_errno))).toEqual(
      new Set(['IBV_WC_REM_ACCESS_ERR']),
    );
    expect(target.memory.bytes).toEqual(new Uint8Array(256));
    expect(source.memory.bytes.every((byte) => byte === 1)).toBe(true);
    expect(fi_write(a.endpoint, part(source.mr), 1, -1, key, 'w')).toBe('FI_EINVAL');
    expect(fi_write(a.endpoint, part(source.mr), 1, address, 2n ** 32n, 'w')).toBe('FI_EINVAL');
  });

  behaves('lpp', 'selective completion: errors come in any case', async () => {
    const cqFlags = ['FI_TRANSMIT', 'FI_RECV', 'FI_SELECTIVE_COMPLETION'] as const;
    const { world, a, b } = await pair(() => ({ cqFlags, bind: bindCounters }));
    const [source, target] = [await a.register(64), await b.register(64)];
    const { address, key } = target.mr;
    const local = part(source.mr);
    const remote = { local, dest: 1, remoteAddress: address, key };
    fi_write(a.endpoint, local, 1, address, key, 'silent');
    fi_writemsg(a.endpoint, { ...remote, context: 'told' }, ['FI_COMPLETION']);
    fi_write(a.endpoint, local, 1, address, key + 1n, 'bad');
    fi_trecv(b.endpoint, new Uint8Array(4), 0, 1n, 0n, 'silent');
    const receive = { buffer: new Uint8Array(4), source: 0, tag: 2n, context: 'told' };
    fi_trecvmsg(b.endpoint, receive, ['FI_COMPLETION']);
    fi_trecv(b.endpoint, new Uint8Array(1), 0, 3n, 0n, 'short');
    for (const tag of [1n, 2n, 3n]) {
      await world.post(() => fi_tsend(a.endpoint, host(text('xy')), 1, tag, 'silent'));
    }
    const last = { buffer: host(text('x')), dest: 1, tag: 4n, context: 'last' };
    await world.post(() => fi_tsendmsg(a.endpoint, last, ['FI_COMPLETION']));
    await world.until(() => contexts(a).includes('last') && b.errors.length === 1);
    expect(contexts(a)).toEqual(['told', 'last']);
    expect(contexts(b)).toEqual(['told']);
    expect(failures(a)).toEqual([['bad', 'FI_EIO', 'IBV_WC_REM_ACCESS_ERR']]);
    expect(b.errors).toMatchObject([{ context: 'short', err: 'FI_ETRUNC', olen: 1 }]);
    const { sent } = countersOf(a);
    expect([fi_cntr_read(sent), fi_cntr_readerr(sent)]).toEqual([6, 1]);
  });

  behaves('lpp', 'an overrun queue says so', async () => {
    const hints = await withoutManagement();
    const world = await connected(1, () => ({ hints, cqSize: 4 }));
    const a = world.rank(0);
    a.reading = false;
    for (let index = 0; index < 20; index++) {
      await world.post(() => fi_tsend(a.endpoint, host(text('x')), 0, 1n, index));
      await world.wait(2);
    }
    const read = fi_cq_read(a.cq, 20);
    expect(read).toMatchObject([{ context: 0 }, { context: 1 }, { context: 2 }, { context: 3 }]);
    expect(fi_cq_read(a.cq, 1)).toBe('FI_EOVERRUN');
    expect(fi_cq_readerr(a.cq)).toBe('FI_EAGAIN');
  });

  behaves('lpp', 'operations of no bytes', async () => {
    const { world, a, b } = await pair();
    const { mr } = await a.register(64);
    const nothing = part(mr, 0, 0);
    // They name no memory: neither key nor address is looked at.
    fi_write(a.endpoint, nothing, 1, 12_345, 0xdead_beefn, 'write');
    fi_read(a.endpoint, nothing, 1, 12_345, 0xdead_beefn, 'read');
    fi_writedata(a.endpoint, nothing, 7, 1, 0, 0n, 'writedata');
    fi_trecv(b.endpoint, new Uint8Array(), 0, 1n, 0n, 'recv');
    fi_tsend(a.endpoint, nothing, 1, 1n, 'send');
    await world.until(() => a.completions.length === 4 && b.completions.length === 2);
    expect(contexts(a)).toEqual(['write', 'read', 'writedata', 'send']);
    expect(b.completions).toMatchObject([
      { kind: 'remoteWriteData', data: 7, length: 0 },
      { context: 'recv', length: 0 },
    ]);
    expect([...a.errors, ...b.errors]).toEqual([]);
  });
});

describe('fabtests of memory', () => {
  behavesCompletely('multi_mr', 'multi_ep', 'rdm_atomic', 'unmap_mem', 'rdm_multi_domain', 'lpp');
});
