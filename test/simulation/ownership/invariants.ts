/**
 * The invariants of dma-buf, verbs and collectives that hlsim keeps, and where each is checked. `dma`: by
 * the shadow model at every access to device memory. `operation`: when an operation of the random
 * program has had its answer. `quiescence`: once everybody has closed everything. `seed`: over the two
 * runs of a seed. Whatever the random program cannot bring about is proved by a test that is named.
 */

/** A test of another file, by a part of its text. */
export interface Proof {
  readonly file: string;
  readonly test: string;
}

export interface Invariant {
  readonly says: string;
  /** When the simulation looks at it; never, if a test elsewhere has to do. */
  readonly checkedAt: readonly ('dma' | 'operation' | 'quiescence' | 'seed')[];
  readonly how: string;
  readonly proof?: Proof;
}

export const INVARIANTS = {
  I1: {
    says: 'After a revocation has returned no importer writes a byte of the buffer',
    checkedAt: ['dma', 'operation'],
    how: 'a payload may be stored only under a region that is live or being revoked; a request on a revoked region must fail; revocation ends in bounded virtual time',
  },
  I2: {
    says: 'After the last unmap no byte of the buffer is read either',
    checkedAt: ['dma', 'operation'],
    how: 'what a link takes must lie in a region that is not dead; no importer has a revoked buffer mapped',
  },
  I3: {
    says: 'Between the end of the fences and unmap whatever is read is thrown away',
    checkedAt: [],
    how: 'the NIC of hlsim unmaps within its callback or behind a fence, so that the window is empty; the order of the two steps is a test of its own',
    proof: {
      file: 'test/conformance/dma-buf-revoke.test.ts',
      test: 'waits for fences with the lock, then for every unmap without it',
    },
  },
  I4: {
    says: 'No access outside a region or an allocation, without the right, or from another domain',
    checkedAt: ['dma', 'operation'],
    how: 'each payload is compared with the region its key names: range, right, domain; requests that must fail do',
  },
  I5: {
    says: 'A new owner never sees a byte of the former one, nor the other way round',
    checkedAt: ['dma', 'operation'],
    how: 'a region may be used only while the open that exported it has the device; pages are clean when another open gets them',
  },
  I6: {
    says: 'Bytes delivered are bytes sent',
    checkedAt: ['operation'],
    how: 'each request moves bytes of its own between slots of its own, compared when it completes',
  },
  I7: {
    says: 'One owner of a device at a time; calls of others fail without effect',
    checkedAt: ['dma', 'operation'],
    how: 'an open succeeds only if nobody has the device; its engine touches only the memory of its owner',
  },
  I8: {
    says: 'Open succeeds only if nothing of the former owner is left, and says why it fails',
    checkedAt: ['operation'],
    how: 'at each open every dma-buf of former opens is released, or under revoke revoked for good; EBUSY while somebody has it',
  },
  I9: {
    says: 'Close under revoke, and a reset, end in bounded time with the device free or disabled',
    checkedAt: ['operation'],
    how: 'the virtual time of both is measured',
  },
  I10: {
    says: 'Once all is closed every count is zero, and none is ever negative',
    checkedAt: ['operation', 'quiescence'],
    how: 'usage of devices and NICs, references and attachments of every dma-buf, processes; a buffer is released once',
  },
  I11: {
    says: 'As many unpins as pins, on error paths too',
    checkedAt: ['operation', 'quiescence'],
    how: "the exporter's functions are counted",
  },
  I12: {
    says: 'A descriptor is visible to others only when the export is complete',
    checkedAt: [],
    how: 'the random program runs one call at a time to its first wait; an observer within the call is a test of its own',
    proof: { file: 'test/node/device/dma-buf.test.ts', test: 'fd' },
  },
  I13: {
    says: 'Destroying what others depend on answers EBUSY or EINVAL and changes nothing',
    checkedAt: ['operation'],
    how: 'unmap of exported memory, free of mapped memory, destroy of queues',
  },
  I14: {
    says: 'The graph of lock orders has no cycle',
    checkedAt: ['seed'],
    how: 'some seeds run with the lock order recorded',
    proof: { file: 'test/simulation/ownership/ownership.test.ts', test: 'lock order' },
  },
  I15: {
    says: 'The reservation lock is held, or not, as the table of calls says',
    checkedAt: ['operation'],
    how: 'every call of a run asserts it (dma_resv_assert_held); a failed assertion ends the run',
    proof: {
      file: 'test/conformance/dma-buf-locking.test.ts',
      test: 'of the exporter: pin, map, unmap, unpin with the lock; the others without',
    },
  },
  I16: {
    says: 'The way to a fence signal never needs the reservation lock',
    checkedAt: ['seed'],
    how: 'waits for fences are edges of the recorded lock order',
    proof: { file: 'test/simulation/ownership/ownership.test.ts', test: 'lock order' },
  },
  I17: {
    says: 'Backing off after EDEADLK always makes progress: the older ticket wins',
    checkedAt: [],
    how: 'the random program takes one lock at a time',
    proof: { file: 'test/node/dmabuf/ww-mutex.test.ts', test: 'EDEADLK: who holds locks' },
  },
  I18: {
    says: 'A fence signals once and in bounded time',
    checkedAt: ['operation', 'quiescence'],
    how: 'no fence of a released buffer is left unsignalled; revocations, which wait for them, end',
    proof: {
      file: 'test/conformance/dma-buf-fence.test.ts',
      test: 'an error is visible only after the signal',
    },
  },
  I19: {
    says: 'An importer is told once per invalidation, a pinned one once in its life',
    checkedAt: ['operation'],
    how: "the importers' callbacks are counted",
  },
  I20: {
    says: 'Revocation is idempotent, permanent is final, unrevoke only undoes temporary',
    checkedAt: ['operation'],
    how: 'answers of revoke, unrevoke and registration are compared with the state of the buffer',
  },
  I21: {
    says: 'A key is given once in a run, and stays reserved until its region is deregistered',
    checkedAt: ['dma', 'operation'],
    how: 'new keys are compared with all before; a payload under the key of a closed region is an error',
  },
  I22: {
    says: 'An exporter that needs importers to be revocable refuses others when they attach',
    checkedAt: ['operation'],
    how: 'pinned registration under revoke answers EOPNOTSUPP; others succeed',
  },
  I23: {
    says: 'Closing one region leaves requests on another one over the same buffer alone',
    checkedAt: ['operation', 'quiescence'],
    how: 'a connection fails only for a reason in its own regions or the network',
  },
  I24: {
    says: 'Each request has exactly one outcome, and an error has a reason',
    checkedAt: ['operation', 'quiescence'],
    how: 'completions are matched with what was posted; nothing signaled is left when the network is whole again',
  },
  I25: {
    says: 'Completions come in post order, and one implies all before it',
    checkedAt: ['operation'],
    how: 'a completion may overtake unsignaled requests only',
  },
  I26: {
    says: 'After the first error everything is flushed and nothing succeeds',
    checkedAt: ['operation'],
    how: 'statuses after the first error of a queue pair',
  },
  I27: {
    says: 'An operation is cancelled or completes, never both',
    checkedAt: [],
    how: 'the random program uses verbs, which cannot cancel',
    proof: { file: 'test/node/fabric/endpoint.test.ts', test: 'a cancelled receive ends once' },
  },
  I28: {
    says: 'A closed endpoint gives no entry and touches no buffer',
    checkedAt: [],
    how: 'the random program closes queue pairs, whose frames are refused (I4, I43)',
    proof: {
      file: 'test/node/fabric/closing.test.ts',
      test: 'closing an endpoint with operations under way: no completion, no byte',
    },
  },
  I29: {
    says: 'A request that is not taken has no effect',
    checkedAt: ['operation'],
    how: 'posting answers ENOMEM or takes the request, and what was not taken never completes',
  },
  I30: {
    says: 'No completion is lost unless the queue says it was overrun',
    checkedAt: ['operation', 'quiescence'],
    how: 'queues never overrun here, and every request has its outcome (I24)',
    proof: {
      file: 'test/conformance/verbs-completions.test.ts',
      test: 'an overrun kills the queue',
    },
  },
  I31: {
    says: 'The buffer of an inline request may change once it is posted',
    checkedAt: ['operation'],
    how: 'it is overwritten at once, and the old bytes must arrive',
  },
  I32: {
    says: 'Atomics are executed once, and a late duplicate never undoes a later write',
    checkedAt: ['operation', 'quiescence'],
    how: 'counters are compared with the fetch-and-adds that succeeded; the last writer of a slot is the request that completed',
  },
  I33: {
    says: 'Messages match receives in post order',
    checkedAt: ['operation'],
    how: 'the next receive has the bytes of the next send',
  },
  I34: {
    says: 'A message that does not fit fails, and lengths are told',
    checkedAt: ['operation'],
    how: 'sends longer than their receive must fail; the length of each receive is compared',
  },
  I35: {
    says: 'A request of no bytes needs no key',
    checkedAt: ['operation'],
    how: 'such requests name a key of nobody and must not fail for it',
  },
  I36: {
    says: 'An illegal change of a queue pair changes nothing',
    checkedAt: ['operation'],
    how: 'state and attributes before and after',
  },
  I37: {
    says: 'A collective gives the sum on every rank',
    checkedAt: ['operation'],
    how: 'the all-reduce of the jobs is compared element by element',
    proof: {
      file: 'test/simulation/random-operations.test.ts',
      test: 'leave every buffer as their schedules say',
    },
  },
  I38: {
    says: 'No rank leaves a barrier before all have entered',
    checkedAt: ['operation'],
    how: 'the ranks of each job meet and count',
  },
  I39: {
    says: 'If a rank dies every other rank ends in bounded time',
    checkedAt: ['operation'],
    how: 'ranks are killed, links cut and devices reset under a collective, and the virtual time of the job is measured',
  },
  I40: {
    says: 'The buffers of a failed collective are not written after the error',
    checkedAt: ['operation'],
    how: 'they are compared some time after the error',
  },
  I41: {
    says: 'Equal seeds and options give equal runs',
    checkedAt: ['seed'],
    how: 'each seed runs twice, and the digests of all events are equal',
  },
  I42: {
    says: 'When all is closed no timer and no message is left',
    checkedAt: ['quiescence'],
    how: 'the scheduler runs dry once the hosts are down',
  },
  I43: {
    says: 'No frame of a stranger, and none that is malformed, causes an access',
    checkedAt: ['dma', 'operation'],
    how: 'frames that lie about their source, epoch, destination or place in the order are refused',
    proof: {
      file: 'test/node/transport/hostile-peers.test.ts',
      test: 'lands what is legal and nothing else',
    },
  },
} as const satisfies Record<string, Invariant>;

export type InvariantId = keyof typeof INVARIANTS;
export const INVARIANT_COUNT = 43;
