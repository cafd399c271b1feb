/**
 * The behaviours that the fabtests of libfabric (fabtests/{unit,functional,multinode,prov}) check, and
 * what becomes of each here: a test of this name, or the reason why it does not apply.
 */
import { it } from 'vitest';
import { defined } from '../../common/assert.ts';

export interface FabricBehaviour {
  readonly fabtest: string;
  readonly name: string;
  /** Why it does not apply; absent: a test of this name shows it. */
  readonly left?: string;
}

const CONNECTED = 'hlsim has reliable datagram endpoints only, which need no connection calls';
const RMA_EVENTS = 'regions report no events: FI_RMA_EVENT and triggered operations are left out';

function fabtest(name: string, behaviours: readonly string[], left: Record<string, string> = {}) {
  return [
    ...behaviours.map((behaviour): FabricBehaviour => ({ fabtest: name, name: behaviour })),
    ...Object.entries(left).map(
      ([behaviour, reason]): FabricBehaviour => ({
        fabtest: name,
        name: behaviour,
        left: reason,
      }),
    ),
  ];
}

const UNIT: readonly FabricBehaviour[] = [
  ...fabtest('av_test', [
    'opens and closes vectors of many sizes',
    'good inserts, with or without taking the addresses',
    'inserts before and after the endpoint is bound',
    'lookup returns the same bytes',
    'remove frees the address for the next',
    'bad addresses: none is inserted, all are FI_ADDR_NOTAVAIL',
    'a mixed vector counts only the good ones',
    'a mixed vector with FI_SYNC_ERR tells the error of each',
    'lookup of never inserted, out of range, all ones and removed is FI_EINVAL',
    'remove of a bad address is FI_EINVAL',
  ]),
  ...fabtest('cq_test', [
    'opens sizes 0 to 64 k',
    'opens many at once',
    'a signal wakes a reader within a second',
    'a read that waits ends with the completion, or at its time',
    'each format has its fields',
  ]),
  ...fabtest('cntr_test', [
    'set, seterr, add, adderr and read, with 100 counters',
    'a wait ends at its threshold, at its time, or with an error',
  ]),
  ...fabtest(
    'eq_test',
    [
      'opens many sizes',
      'writes and reads own events, with FI_PEEK',
      'an empty queue is FI_EAGAIN, for errors too',
      'a read that waits ends with the event, or at its time',
      'tells of a lost peer',
    ],
    {
      'polls the descriptor': 'the library has no descriptors to wait on: FI_WAIT_FD is FI_ENOSYS',
    },
  ),
  ...fabtest('dom_test', ['opens many domains on one fabric']),
  ...fabtest('getinfo_test', [
    'without hints it offers everything',
    'the hints of HCL, with and without device memory',
    'source and destination',
    'API version',
    'an unknown domain is FI_ENODATA',
    'order bits and sizes',
    'mr_mode: only the bits that the provider needs come back',
    'progress is automatic',
    'capabilities: those asked for, and none that is not there',
    'unknown flags are FI_EBADFLAGS',
  ]),
  ...fabtest(
    'mr_test',
    [
      'every combination of access',
      'regattr of host memory and of dma-bufs',
      'registers after memory of the same address was freed and allocated',
      'a requested key is FI_ENOKEY or FI_EKEYREJECTED',
    ],
    { 'regv with many pieces': 'a region has one piece: fi_mr_regv is FI_EOPNOTSUPP' },
  ),
  ...fabtest('mr_cache_evict', [], {
    'drops a cached registration when its memory is unmapped':
      'there is no cache of registrations: each call registers anew',
  }),
  ...fabtest('setopt_test', ['an option is read back as it was set']),
  ...fabtest('check_hmem', ['SynapseAI memory is there, other devices are not']),
];

const FUNCTIONAL: readonly FabricBehaviour[] = [
  ...fabtest('msg', [], { 'connects and exchanges': CONNECTED }),
  ...fabtest('dgram', [], { exchanges: 'there are no unreliable endpoints' }),
  ...fabtest('msg_epoll', [], { 'connects and exchanges by epoll': CONNECTED }),
  ...fabtest('msg_sockets', [], { 'connects on a bound socket': CONNECTED }),
  ...fabtest('cm_data', [], { 'user data comes with accept and with reject': CONNECTED }),
  ...fabtest('rdm', ['exchanges messages, read by wait']),
  ...fabtest('loopback', ['exchanges messages with itself']),
  ...fabtest('av_xfer', ['exchanges messages after insert, remove and insert']),
  ...fabtest('cq_data', [
    'senddata carries data, flags and length',
    'writedata carries data, masked to cq_data_size',
  ]),
  ...fabtest('inject_test', [
    'inject: the receiver sees what was there before the overwriting',
    'FI_INJECT and FI_INJECT_COMPLETE: the same, and the entry comes at once',
  ]),
  ...fabtest('recv_cancel', ['one FI_ECANCELED, the other receive is fine, and a repost works']),
  ...fabtest('rdm_tagged_peek', [
    'a tag that is not there is FI_ENOMSG',
    'peek, then receive',
    'peek and claim, then receive',
    'peek and discard',
    'claim and discard',
    'ten messages in order, and in reverse',
  ]),
  ...fabtest('unexpected_msg', ['receives posted late and in reverse match, data intact']),
  ...fabtest('multi_recv', [], {
    'completions per buffer, release flag, repost of halves':
      'FI_MULTI_RECV is left out: FI_EOPNOTSUPP',
  }),
  ...fabtest('multi_mr', ['writes to many regions, and counters that are exact']),
  ...fabtest('multi_ep', [
    'endpoints with a shared vector and queue',
    'endpoints with vectors and queues of their own',
    'closes all regions and registers them again',
  ]),
  ...fabtest('resmgmt_test', ['posts until FI_EAGAIN, drains, and loses nothing']),
  ...fabtest('rdm_rma_event', [], { 'counts remote writes on a region': RMA_EVENTS }),
  ...fabtest('rdm_rma_trigger', [], { 'starts at a threshold': RMA_EVENTS }),
  ...fabtest('rdm_deferred_wq', [], { 'works off a queue of deferred work': RMA_EVENTS }),
  ...fabtest('rdm_atomic', [
    'sum, fetching sum, fetching read and compare-and-swap of 64 bit',
    'every other operation and type is FI_EOPNOTSUPP',
    'what the target refuses ends with an error, and changes nothing',
  ]),
  ...fabtest('rdm_multi_client', ['a server survives clients that come and go']),
  ...fabtest('rdm_multi_domain', ['domains of one process do not reach each other’s regions']),
  ...fabtest(
    'rdm_shared_av',
    ['an address inserted once is there for every endpoint of the vector'],
    { 'a vector shared by processes': 'the vectors of a process are its own' },
  ),
  ...fabtest('shared_ctx', [], { 'endpoints share a context': 'shared contexts are left out' }),
  ...fabtest('scalable_ep', [], { 'an endpoint has contexts': 'scalable endpoints are left out' }),
  ...fabtest('mcast', [], { 'sends to a group': 'multicast is left out: fi_join is FI_ENOSYS' }),
  ...fabtest('flood', ['a flood of unexpected messages arrives complete']),
  ...fabtest('unmap_mem', ['memory that is taken back after its use does not matter']),
  ...fabtest('rdm_stress', [], {
    'a script of operations and exits':
      'the simulation of the whole (test/simulation) runs random programs with exits',
  }),
];

const TRAFFIC = ['messages', 'tagged messages', 'writes', 'atomics'];
const PATTERNS = ['all to all', 'one to all', 'all to one', 'ring'];

const MULTINODE_AND_PROVIDERS: readonly FabricBehaviour[] = [
  ...fabtest(
    'multinode',
    PATTERNS.flatMap((pattern) => TRAFFIC.map((kind) => `${pattern}, ${kind}`)),
    { collectives: 'HCCL has the collectives; those of libfabric are FI_ENOSYS' },
  ),
  ...fabtest('efa mr_abort', [
    'initiator closes in mid-flight: one completion for each',
    'target closes in mid-flight: one completion for each',
    'both close in mid-flight: one completion for each',
    'in reverse and in random order',
    'two regions over one buffer, one is closed: the other completes everything',
    'a region of a message that nobody has received yet',
  ]),
  ...fabtest('efa rnr', [
    'a receiver that is not ready is FI_ENORX without resource management',
    'with resource management it is tried again',
  ]),
  ...fabtest('efa remote_exit_early', ['the peer exits, and nobody hangs']),
  ...fabtest(
    'lpp',
    [
      'RMA out of bounds stores nothing',
      'selective completion: errors come in any case',
      'an overrun queue says so',
      'operations of no bytes',
    ],
    { 'unexpected multi-recv': 'FI_MULTI_RECV is left out: FI_EOPNOTSUPP' },
  ),
];

export const FABRIC_BEHAVIOURS: readonly FabricBehaviour[] = [
  ...UNIT,
  ...FUNCTIONAL,
  ...MULTINODE_AND_PROVIDERS,
];

const tested = new Set<string>();
const keyOf = (name: string, behaviour: string) => `${name}: ${behaviour}`;

/** A test of one behaviour of the table. */
export function behaves(fabtestName: string, name: string, body: () => void | Promise<void>): void {
  const known = FABRIC_BEHAVIOURS.find((one) => one.fabtest === fabtestName && one.name === name);
  const { left } = defined(known, `behaviour "${name}" of ${fabtestName}`);
  if (left !== undefined) throw new Error(`Expected no test of "${name}", which does not apply`);
  tested.add(keyOf(fabtestName, name));
  it(keyOf(fabtestName, name), body);
}

/** At the end of a file: every behaviour of these fabtests that applies has had its test. */
export function behavesCompletely(...fabtests: readonly string[]): void {
  it.each(fabtests)('%s: every behaviour has a test or a reason', (fabtestName) => {
    const missing = FABRIC_BEHAVIOURS.filter(
      ({ fabtest: owner, name, left }) =>
        owner === fabtestName && left === undefined && !tested.has(keyOf(owner, name)),
    );
    if (missing.length > 0) {
      throw new Error(`Expected tests of: ${missing.map(({ name }) => name).join('; ')}`);
    }
  });
}
