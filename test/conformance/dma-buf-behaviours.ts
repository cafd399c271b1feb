/**
 * The behaviours that the Linux kernel tests of dma-buf and its fences (drivers/dma-buf/st-*.c,
 * tools/testing/selftests/{dmabuf-heaps,drivers/dma-buf,iommu}), and what becomes of each here.
 */
import { it } from 'vitest';
import { defined } from '../../common/assert.ts';

export interface Behaviour {
  readonly suite: string;
  readonly name: string;
  /** Why it does not apply; absent: a test of this name shows it. */
  readonly left?: string;
}

function suite(name: string, behaviours: readonly string[], left: Record<string, string> = {}) {
  return [
    ...behaviours.map((behaviour): Behaviour => ({ suite: name, name: behaviour })),
    ...Object.entries(left).map(
      ([behaviour, reason]): Behaviour => ({ suite: name, name: behaviour, left: reason }),
    ),
  ];
}

const USAGES = ['KERNEL', 'WRITE', 'READ', 'BOOKKEEP'];

export const DMA_BUF_BEHAVIOURS: readonly Behaviour[] = [
  ...suite(
    'st-dma-fence',
    [
      'sanity: a fence can be made, signalled and let go',
      'is not signalled at creation, signals once, and stays so',
      'a callback added before the signal runs',
      'a callback added after the signal fails and never runs',
      'a removed callback does not run',
      'removing a callback after the signal fails',
      'the status is 0, then 1',
      'an error is visible only after the signal',
      'a wait with timeout 0 gives 0, then 1',
      'a wait is ended by the timer, or by the fence',
      'the stub fence has always signalled',
      'a race of signal and add_callback loses nothing',
    ],
    {
      'the race runs on two processors':
        'the kernel of a host runs on one thread: the interleavings of the calls are tried instead',
    },
  ),
  ...suite('st-dma-resv', [
    'sanity: a reservation can be locked and unlocked',
    ...USAGES.flatMap((usage) => [
      `${usage}: it has not signalled until its fence has`,
      `${usage}: locked iteration sees exactly one fence, with its usage`,
      `${usage}: unlocked iteration survives a forced restart`,
      `${usage}: get_fences returns the fence`,
    ]),
  ]),
  ...suite('st-dma-fence-chain', [
    'sanity: a chain can be made of one fence',
    'find_seqno gives the link that covers a number',
    'find_seqno after everything has signalled gives nothing',
    'find_seqno after signals out of order',
    'find_seqno across a gap',
    'find_seqno in a race with signals',
    'links signal in order when their fences do',
    'links wait for all before them when fences signal backward',
    'waits end when fences signal forward',
    'waits end when fences signal backward',
    'waits end when fences signal in random order',
  ]),
  ...suite('st-dma-fence-unwrap', [
    'sanity: a fence unwraps to itself',
    'an array yields each leaf once',
    'a chain yields each leaf once',
    'a chain of arrays yields each leaf once',
    'merge: two fences become an array of both',
    'merge: a duplicate is dropped',
    'merge: of one timeline the later fence stays',
    'merge: the order of the arguments does not matter',
    'merge: of merged fences yields each leaf once',
    'merge: nothing left is the stub',
  ]),
  ...suite(
    'dmabuf-heaps',
    [
      'allocate, write, import, and sync from start to end',
      'a bad descriptor is refused',
      'bad descriptor flags are refused',
      'memory is zeroed',
    ],
    {
      'mmap of a heap buffer':
        'no exporter of hlsim has memory that a processor can map, so mmap is EINVAL',
      'bad heap flags are refused': 'there are no heaps: a device is the only exporter',
      'older and newer sizes of the ioctl structure':
        'requests are records with named fields, not structures with a size',
    },
  ),
  ...suite(
    'udmabuf',
    [
      'fails for an unaligned offset',
      'fails for an unaligned size',
      'fails for memory of another kind',
      'succeeds otherwise',
      'data stays consistent',
    ],
    { 'hugetlb memory': 'device memory has one page size' },
  ),
  ...suite('iommufd', [
    'dmabuf_simple: length 0, an offset past the end and a length beyond it are EINVAL',
    'dmabuf_simple: a mapping of everything succeeds',
    'dmabuf_revoke: the mapping is gone',
    'dmabuf_revoke: a new domain can still be made',
    'dmabuf_revoke: a new mapping is ENODEV',
    'dmabuf_revoke: after the un-revoke a mapping succeeds, at the old address too',
  ]),
];

/** A test of one behaviour of the table. */
export function behaves(suiteName: string, name: string, body: () => void | Promise<void>): void {
  const known = DMA_BUF_BEHAVIOURS.find((one) => one.suite === suiteName && one.name === name);
  const { left } = defined(known, `behaviour "${name}" of ${suiteName}`);
  if (left !== undefined) throw new Error(`Expected no test of "${name}", which does not apply`);
  TESTED.push({ suite: suiteName, name });
  it(`${suiteName}: ${name}`, body);
}

/** Behaviours that the importing test file shows. */
export const TESTED: Pick<Behaviour, 'suite' | 'name'>[] = [];

/** At the end of a suite's file: every behaviour of `suites` that applies has had its test. */
export function behavesCompletely(...suites: readonly string[]): void {
  it.each(suites)('%s: every behaviour has a test or a reason', (suiteName) => {
    const missing = DMA_BUF_BEHAVIOURS.filter(
      (one) =>
        one.suite === suiteName &&
        one.left === undefined &&
        !TESTED.some((tested) => tested.suite === suiteName && tested.name === one.name),
    );
    if (missing.length > 0) {
      throw new Error(`Expected tests of: ${missing.map(({ name }) => name).join('; ')}`);
    }
  });
}
