/** Fabric conformance: fabtests/unit. Objects on their own; the provider matters to few of them. */
import { describe, expect } from 'vitest';
import { defined } from '../../common/assert.ts';
import {
  AV_ENTRIES_MAX,
  fi_av_insert,
  fi_av_lookup,
  fi_av_open,
  fi_av_remove,
} from '../../node/fabric/av.ts';
import { fi_close } from '../../node/fabric/close.ts';
import {
  fi_cntr_add,
  fi_cntr_adderr,
  fi_cntr_open,
  fi_cntr_read,
  fi_cntr_readerr,
  fi_cntr_set,
  fi_cntr_seterr,
  fi_cntr_wait,
} from '../../node/fabric/cntr.ts';
import { CQ_SIZE_MAX, type FiCqFormat } from '../../node/fabric/completion-queue.ts';
import {
  type FiCq,
  fi_cq_open,
  fi_cq_read,
  fi_cq_signal,
  fi_cq_sread,
} from '../../node/fabric/cq.ts';
import { fi_domain, fi_fabric } from '../../node/fabric/domain.ts';
import {
  fi_enable,
  fi_endpoint,
  fi_ep_bind,
  fi_getname,
  fi_getopt,
  fi_setopt,
} from '../../node/fabric/endpoint.ts';
import {
  EQ_SIZE_MAX,
  fi_eq_open,
  fi_eq_read,
  fi_eq_readerr,
  fi_eq_sread,
  fi_eq_write,
} from '../../node/fabric/eq.ts';
import { FI_ADDR_NOTAVAIL, FI_ADDR_UNSPEC, type FiErrno } from '../../node/fabric/fabric.ts';
import { fi_trecv, fi_tsend, fi_tsenddata } from '../../node/fabric/tagged.ts';
import { WAITERS_MAX } from '../../node/fabric/waiters.ts';
import { host, ok, type Rank, type RankWorld, text } from '../node/fabric/world.ts';
import { behaves, behavesCompletely } from './fabric-behaviours.ts';
import { FABRIC_PROVIDERS, fabricWorlds } from './fabric-world.ts';

const receiveQueues = new Map<Rank, FiCq>();
const JUNK = [new Uint8Array(56), new Uint8Array(), text('not a name')];

describe.each(FABRIC_PROVIDERS)('fabric conformance, objects: $name', (provider) => {
  const { strangers, connected } = fabricWorlds(provider);
  const names = ({ ranks }: RankWorld) => ranks.map(({ name }) => name);

  behaves('av_test', 'opens and closes vectors of many sizes', async () => {
    const { domain } = (await strangers(1)).rank(0);
    for (let count = 1; count <= AV_ENTRIES_MAX; count *= 2) {
      expect(fi_close(ok(fi_av_open(domain, { type: 'FI_AV_TABLE', count })))).toBeUndefined();
    }
    expect(fi_av_open(domain, { count: AV_ENTRIES_MAX + 1 })).toBe('FI_EINVAL');
    expect(fi_av_open(domain, { type: 'FI_AV_MAP' })).toBe('FI_EOPNOTSUPP');
  });

  behaves('av_test', 'good inserts, with or without taking the addresses', async () => {
    const world = await strangers(3);
    const av = fi_av_open(world.rank(0).domain);
    fi_av_insert(av, names(world).slice(0, 1));
    expect(fi_av_insert(av, names(world).slice(1))).toEqual([1, 2]);
    expect(fi_av_lookup(av, 0)).toEqual(world.rank(0).name);
  });

  behaves('av_test', 'inserts before and after the endpoint is bound', async () => {
    const world = await strangers(2);
    const { domain, cq, info } = world.rank(0);
    const av = fi_av_open(domain);
    const [early, late] = names(world);
    fi_av_insert(av, [defined(early, 'a name')]);
    const endpoint = ok(fi_endpoint(domain, info, { epoch: 1 }));
    ok(fi_ep_bind(endpoint, av));
    ok(fi_ep_bind(endpoint, cq));
    expect(fi_av_insert(av, [defined(late, 'a name')])).toEqual([1]);
    ok(fi_enable(endpoint));
    expect([0, 1].map((dest) => fi_tsend(endpoint, host(text('x')), dest, 1n, 's'))).toEqual([
      'FI_EAGAIN',
      'FI_EAGAIN',
    ]);
    fi_close(endpoint);
  });

  behaves('av_test', 'lookup returns the same bytes', async () => {
    const world = await strangers(2);
    const av = fi_av_open(world.rank(0).domain);
    const addresses = fi_av_insert(av, names(world));
    expect(addresses.map((address) => fi_av_lookup(av, address))).toEqual(names(world));
    expect(fi_getname(world.rank(1).endpoint)).toEqual(fi_av_lookup(av, 1));
  });

  behaves('av_test', 'remove frees the address for the next', async () => {
    const world = await strangers(3);
    const av = fi_av_open(world.rank(0).domain);
    fi_av_insert(av, names(world).slice(0, 2));
    expect(fi_av_remove(av, 0)).toBeUndefined();
    expect(fi_av_insert(av, names(world).slice(2))).toEqual([0]);
  });

  behaves('av_test', 'bad addresses: none is inserted, all are FI_ADDR_NOTAVAIL', async () => {
    const av = fi_av_open((await strangers(1)).rank(0).domain);
    expect(fi_av_insert(av, JUNK)).toEqual(JUNK.map(() => FI_ADDR_NOTAVAIL));
    expect(fi_av_lookup(av, 0)).toBe('FI_EINVAL');
  });

  behaves('av_test', 'a mixed vector counts only the good ones', async () => {
    const world = await strangers(2);
    const av = fi_av_open(world.rank(0).domain);
    const [one, two] = names(world);
    const mixed = [defined(one, 'a name'), ...JUNK, defined(two, 'a name')];
    const inserted = fi_av_insert(av, mixed).filter((address) => address !== FI_ADDR_NOTAVAIL);
    expect(inserted).toEqual([0, 1]);
  });

  behaves('av_test', 'a mixed vector with FI_SYNC_ERR tells the error of each', async () => {
    const world = await strangers(1);
    const av = fi_av_open(world.rank(0).domain);
    const errors: (FiErrno | undefined)[] = [];
    fi_av_insert(av, [...JUNK, world.rank(0).name], errors);
    expect(errors).toEqual([...JUNK.map(() => 'FI_EINVAL'), undefined]);
  });

  behaves(
    'av_test',
    'lookup of never inserted, out of range, all ones and removed is FI_EINVAL',
    async () => {
      const world = await strangers(1);
      const av = fi_av_open(world.rank(0).domain);
      fi_av_insert(av, names(world));
      fi_av_remove(av, 0);
      for (const address of [0, 1, AV_ENTRIES_MAX, FI_ADDR_UNSPEC, FI_ADDR_NOTAVAIL, 0.5]) {
        expect(fi_av_lookup(av, address)).toBe('FI_EINVAL');
      }
    },
  );

  behaves('av_test', 'remove of a bad address is FI_EINVAL', async () => {
    const av = fi_av_open((await strangers(1)).rank(0).domain);
    for (const address of [0, AV_ENTRIES_MAX, FI_ADDR_UNSPEC, FI_ADDR_NOTAVAIL]) {
      expect(fi_av_remove(av, address)).toBe('FI_EINVAL');
    }
  });

  behaves('cq_test', 'opens sizes 0 to 64 k', async () => {
    const { domain } = (await strangers(1)).rank(0);
    for (let size = 0; size <= CQ_SIZE_MAX; size = size === 0 ? 1 : size * 2) {
      expect(fi_close(ok(fi_cq_open(domain, { size })))).toBeUndefined();
    }
    expect(fi_cq_open(domain, { size: CQ_SIZE_MAX + 1 })).toBe('FI_EINVAL');
    expect(fi_cq_open(domain, { size: 1, wait_obj: 'FI_WAIT_FD' })).toBe('FI_ENOSYS');
  });

  behaves('cq_test', 'opens many at once', async () => {
    const { domain } = (await strangers(1)).rank(0);
    const queues = Array.from({ length: 100 }, () => ok(fi_cq_open(domain, { size: 16 })));
    expect(queues.map((cq) => fi_cq_read(cq, 1))).toEqual(queues.map(() => 'FI_EAGAIN'));
    for (const cq of queues) expect(fi_close(cq)).toBeUndefined();
  });

  behaves('cq_test', 'a signal wakes a reader within a second', async () => {
    const world = await strangers(1);
    const cq = ok(fi_cq_open(world.rank(0).domain, { size: 4 }));
    const begin = world.scheduler.clock.now();
    const read = fi_cq_sread(cq, 1, 10_000);
    fi_cq_signal(cq);
    expect(await world.settle(read)).toBe('FI_ECANCELED');
    fi_cq_signal(cq);
    expect(await world.settle(fi_cq_sread(cq, 1, 10_000))).toBe('FI_ECANCELED');
    expect(world.scheduler.clock.now() - begin).toBeLessThan(1000);
  });

  behaves('cq_test', 'a read that waits ends with the completion, or at its time', async () => {
    const world = await connected(1);
    const a = world.rank(0);
    a.reading = false;
    const begin = world.scheduler.clock.now();
    expect(await world.settle(fi_cq_sread(a.cq, 1, 50))).toBe('FI_EAGAIN');
    expect(world.scheduler.clock.now() - begin).toBeGreaterThanOrEqual(49);
    const read = fi_cq_sread(a.cq, 8, 10_000);
    fi_tsend(a.endpoint, host(text('x')), 0, 1n, 's');
    expect(await world.settle(read)).toMatchObject([{ kind: 'send', context: 's' }]);
    const none = ok(fi_cq_open(a.domain, { size: 1, wait_obj: 'FI_WAIT_NONE' }));
    expect(await world.settle(fi_cq_sread(none, 1, 50))).toBe('FI_EINVAL');
    const closing = ok(fi_cq_open(a.domain, { size: 1 }));
    const last = fi_cq_sread(closing, 1, 10_000);
    fi_close(closing);
    expect(await world.settle(last)).toBe('FI_ECANCELED');
  });

  behaves('cq_test', 'each format has its fields', async () => {
    const full = {
      flags: ['FI_RECV', 'FI_TAGGED', 'FI_REMOTE_CQ_DATA'],
      length: 1,
      data: 5,
      tag: 7n,
    };
    const fields: Readonly<Record<FiCqFormat, object>> = {
      FI_CQ_FORMAT_CONTEXT: { flags: [], length: 0, data: 0, tag: 0n },
      FI_CQ_FORMAT_MSG: { ...full, data: 0, tag: 0n },
      FI_CQ_FORMAT_DATA: { ...full, tag: 0n },
      FI_CQ_FORMAT_TAGGED: full,
      FI_CQ_FORMAT_UNSPEC: full,
    };
    for (const [format, expected] of Object.entries(fields)) {
      const world = await connected(1, () => ({ cqFlags: ['FI_TRANSMIT'], bind: bindReceive }));
      const rank = world.rank(0);
      const cq = defined(receiveQueues.get(rank), 'a queue for receives');
      await world.post(() => fi_trecv(rank.endpoint, new Uint8Array(4), 0, 7n, 0n, 'r'));
      await world.post(() => fi_tsenddata(rank.endpoint, host(text('x')), 5, 0, 7n, 's'));
      const read = await world.settle(fi_cq_sread(cq, 1, 10_000));
      expect(read, format).toMatchObject([{ context: 'r', ...expected }]);

      function bindReceive(bound: Rank) {
        const queue = ok(fi_cq_open(bound.domain, { size: 4, format: format as FiCqFormat }));
        receiveQueues.set(bound, queue);
        ok(fi_ep_bind(bound.endpoint, queue, ['FI_RECV']));
      }
    }
  });

  behaves('cntr_test', 'set, seterr, add, adderr and read, with 100 counters', async () => {
    const { domain } = (await strangers(1)).rank(0);
    const counters = Array.from({ length: 100 }, () => ok(fi_cntr_open(domain)));
    counters.forEach((counter, index) => {
      ok(fi_cntr_set(counter, index));
      ok(fi_cntr_seterr(counter, index << 1));
      ok(fi_cntr_add(counter, 1));
      ok(fi_cntr_adderr(counter, 2));
    });
    expect(counters.map(fi_cntr_read)).toEqual(counters.map((_, index) => index + 1));
    expect(counters.map(fi_cntr_readerr)).toEqual(counters.map((_, index) => (index << 1) + 2));
    const [first] = counters;
    expect(fi_cntr_add(defined(first, 'a counter'), -5)).toBe('FI_EINVAL');
    expect(fi_cntr_open(domain, { events: 'FI_CNTR_EVENTS_BYTES' })).toBe('FI_ENOSYS');
    for (const counter of counters) expect(fi_close(counter)).toBeUndefined();
  });

  behaves('cntr_test', 'a wait ends at its threshold, at its time, or with an error', async () => {
    const world = await strangers(1);
    const { domain } = world.rank(0);
    const counter = ok(fi_cntr_open(domain));
    const reached = fi_cntr_wait(counter, 2, 10_000);
    fi_cntr_add(counter, 1);
    fi_cntr_add(counter, 1);
    expect(await world.settle(reached)).toBeUndefined();
    expect(await world.settle(fi_cntr_wait(counter, 2, 0))).toBeUndefined();
    expect(await world.settle(fi_cntr_wait(counter, 3, 20))).toBe('FI_ETIMEDOUT');
    const failed = fi_cntr_wait(counter, 3, 10_000);
    fi_cntr_adderr(counter, 1);
    expect(await world.settle(failed)).toBe('FI_EAVAIL');
    const many = Array.from({ length: WAITERS_MAX }, () => fi_cntr_wait(counter, 3, 10_000));
    expect(await world.settle(fi_cntr_wait(counter, 3, 10_000))).toBe('FI_ETIMEDOUT');
    fi_close(counter);
    expect(new Set(await world.settle(Promise.all(many)))).toEqual(new Set(['FI_ECANCELED']));
  });

  behaves('eq_test', 'opens many sizes', async () => {
    const world = await strangers(1);
    const { scheduler } = world;
    const { fabric } = world.rank(0).domain;
    for (let size = 0; size <= EQ_SIZE_MAX; size = size === 0 ? 1 : size * 2) {
      const eq = ok(fi_eq_open(fabric, { scheduler, size }));
      expect(fi_close(fabric)).toBe('FI_EBUSY');
      expect(fi_close(eq)).toBeUndefined();
    }
    expect(fi_eq_open(fabric, { scheduler, size: EQ_SIZE_MAX + 1 })).toBe('FI_EINVAL');
    expect(fi_eq_open(fabric, { scheduler, flags: ['FI_AFFINITY'] })).toBe('FI_EBADFLAGS');
  });

  behaves('eq_test', 'writes and reads own events, with FI_PEEK', async () => {
    const world = await strangers(1);
    const { fabric } = world.rank(0).domain;
    const { scheduler } = world;
    const eq = ok(fi_eq_open(fabric, { scheduler, size: 5, flags: ['FI_WRITE'] }));
    const events = [0, 1, 2, 3, 4].map((data) => ({ event: 'own', data }));
    for (const event of events) ok(fi_eq_write(eq, event));
    expect(fi_eq_write(eq, { event: 'one too many', data: 0 })).toBe('FI_EAGAIN');
    for (const event of events) {
      expect(fi_eq_read(eq, ['FI_PEEK'])).toEqual(event);
      expect(fi_eq_read(eq)).toEqual(event);
    }
    const readOnly = ok(fi_eq_open(fabric, { scheduler }));
    expect(fi_eq_write(readOnly, { event: 'own', data: 0 })).toBe('FI_EINVAL');
  });

  behaves('eq_test', 'an empty queue is FI_EAGAIN, for errors too', async () => {
    const world = await strangers(1);
    const eq = ok(fi_eq_open(world.rank(0).domain.fabric, { scheduler: world.scheduler }));
    expect([fi_eq_read(eq), fi_eq_read(eq, ['FI_PEEK']), fi_eq_readerr(eq)]).toEqual([
      'FI_EAGAIN',
      'FI_EAGAIN',
      'FI_EAGAIN',
    ]);
  });

  behaves('eq_test', 'a read that waits ends with the event, or at its time', async () => {
    const world = await strangers(1);
    const { fabric } = world.rank(0).domain;
    const eq = ok(fi_eq_open(fabric, { scheduler: world.scheduler, flags: ['FI_WRITE'] }));
    expect(await world.settle(fi_eq_sread(eq, 20))).toBe('FI_EAGAIN');
    const read = fi_eq_sread(eq, 10_000);
    fi_eq_write(eq, { event: 'own', data: 1 });
    expect(await world.settle(read)).toEqual({ event: 'own', data: 1 });
    const last = fi_eq_sread(eq, 10_000);
    fi_close(eq);
    expect(await world.settle(last)).toBe('FI_ECANCELED');
  });

  behaves('eq_test', 'tells of a lost peer', async () => {
    let eq: Exclude<ReturnType<typeof fi_eq_open>, FiErrno> | undefined;
    const world = await connected(2, (index) => ({
      bind: ({ domain, endpoint }) => {
        if (index > 0) return;
        eq = ok(fi_eq_open(domain.fabric, { scheduler: domain.nic.scheduler }));
        ok(fi_ep_bind(endpoint, eq));
        expect(fi_ep_bind(endpoint, eq)).toBe('FI_EOPBADSTATE');
      },
    }));
    const queue = defined(eq, 'an event queue');
    expect(fi_close(queue)).toBe('FI_EBUSY');
    await world.kill(1);
    await world.until(() => fi_eq_read(queue) === 'FI_EAVAIL');
    expect(fi_eq_readerr(queue, ['FI_PEEK'])).toMatchObject({ err: 'FI_EHOSTUNREACH', data: 1 });
    expect(fi_eq_readerr(queue)).toMatchObject({ fid: world.rank(0).endpoint });
    expect(fi_eq_readerr(queue)).toBe('FI_EAGAIN');
  });

  behaves('dom_test', 'opens many domains on one fabric', async () => {
    const { nic, process, info } = (await strangers(1)).rank(0);
    const fabric = fi_fabric(info);
    const domains = Array.from({ length: 20 }, () => ok(fi_domain(fabric, info, { nic, process })));
    expect(fi_close(fabric)).toBe('FI_EBUSY');
    for (const domain of domains) expect(fi_close(domain)).toBeUndefined();
    expect(fi_close(fabric)).toBeUndefined();
  });

  behaves('setopt_test', 'an option is read back as it was set', async () => {
    const { endpoint } = (await strangers(1)).rank(0);
    const name = 'FI_OPT_FI_HMEM_P2P';
    for (const value of ['FI_HMEM_P2P_ENABLED', 'FI_HMEM_P2P_REQUIRED', 'FI_HMEM_P2P_PREFERRED']) {
      expect(fi_setopt(endpoint, name, value)).toBeUndefined();
      expect(fi_getopt(endpoint, name)).toBe(value);
    }
    expect(fi_setopt(endpoint, name, 'FI_HMEM_P2P_DISABLED')).toBe('FI_EOPNOTSUPP');
    expect(fi_setopt(endpoint, name, 5)).toBe('FI_EINVAL');
    expect(fi_getopt(endpoint, name)).toBe('FI_HMEM_P2P_PREFERRED');
    expect(fi_getopt(endpoint, 'FI_OPT_CM_DATA_SIZE')).toBe(0);
    expect(fi_setopt(endpoint, 'FI_OPT_CM_DATA_SIZE', 8)).toBe('FI_ENOPROTOOPT');
    expect(fi_getopt(endpoint, 'FI_OPT_MIN_MULTI_RECV')).toBe('FI_ENOPROTOOPT');
  });
});

describe('fabtests of these objects', () => {
  behavesCompletely('av_test', 'cq_test', 'cntr_test', 'eq_test', 'dom_test', 'setopt_test');
});
