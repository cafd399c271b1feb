/** Mutants of dma-bufs and of those who import them: lifetimes, locks, fences, revocation. */
import type { Mutant } from './mutant.ts';

const EXPORTS = 'test/conformance/device-exports.test.ts';
const FENCES = 'test/conformance/dma-buf-fence.test.ts';
const LOCK_ORDER = 'test/conformance/dma-buf-lock-order.test.ts';
const REGRESSIONS = 'test/conformance/device-regressions.test.ts';
const REVOCATION = 'test/conformance/verbs-revocation.test.ts';
const REVOKE = 'test/conformance/dma-buf-revoke.test.ts';
const REGISTRATION = 'test/conformance/verbs-registration.test.ts';

const REGION_MEMORY = 'node/verbs/region-memory.ts';

export const MEMORY_MUTANTS: readonly Mutant[] = [
  {
    id: 'R3',
    fault: 'The descriptor of an export is shown before the export is counted and holds the device',
    file: 'node/device/dma-buf-exporter.ts',
    edits: [
      { find: "if (exportHolds === 'file') deviceFile.get();", replace: '' },
      {
        find: 'exports.add(own);',
        replace: `void Promise.resolve().then(() => {
          if (exportHolds === 'file') deviceFile.get();
          exports.add(own);
        });`,
      },
    ],
    tests: [EXPORTS],
    only: 'R3',
  },
  {
    id: 'R4a',
    fault: 'A NIC whose mapping fails undoes its pin twice',
    file: REGION_MEMORY,
    edits: [
      {
        find: 'if (pins) dma_buf_unpin(this.#attachment);',
        replace: 'if (pins) { dma_buf_unpin(this.#attachment); dma_buf_unpin(this.#attachment); }',
      },
    ],
    tests: [REGISTRATION],
    only: 'a map that fails after the pin',
  },
  {
    id: 'R4b',
    fault: 'The pin that is made for a static importer stays when its mapping fails',
    file: 'node/dmabuf/attachment.ts',
    edits: [{ find: "if (typeof table === 'string') own.unpin();", replace: '' }],
    tests: [REVOKE],
    only: 'R4',
  },
  {
    id: 'R5a',
    fault: 'Deregistration undoes once more what a revocation has undone',
    file: 'node/dmabuf/attachment.ts',
    edits: [
      {
        find: 'while (own.mapping !== undefined) dma_buf_unmap_attachment(own);',
        replace: 'dma_buf_unmap_attachment(own);',
      },
    ],
    tests: [REVOCATION],
    only: 'memory.* R5',
  },
  {
    id: 'R5b',
    fault: 'An importer that has let go already is told of the revocation all the same',
    file: 'node/dmabuf/attachment-state.ts',
    edits: [
      {
        find: "if (!this.isRevocable || this.mapping?.state !== 'mapped') return false;",
        replace: 'if (!this.isRevocable || this.mapping === undefined) return false;',
      },
    ],
    tests: ['test/node/dmabuf/dma-buf.test.ts', REVOKE],
  },
  {
    id: 'R6',
    fault:
      'A NIC takes its own mutex outside of the reservation lock, and inside of it when it is told',
    file: REGION_MEMORY,
    edits: [
      {
        find: "import { SegmentList } from './segments.ts';",
        replace: `import { SegmentList } from './segments.ts';
          import { withDriverLock } from '../dmabuf/lock-order.ts';`,
      },
      {
        find: 'return dma_resv_locked(this.#attachment.dmaBuf.reservation, () => this.#mapLocked());',
        replace: `return withDriverLock('umem_mutex', () =>
          dma_resv_locked(this.#attachment.dmaBuf.reservation, () => this.#mapLocked()));`,
      },
      {
        find: 'if (this.#nic.isQuiet) {',
        replace: `withDriverLock('umem_mutex', () => undefined);
          if (this.#nic.isQuiet) {`,
      },
    ],
    tests: [LOCK_ORDER],
  },
  {
    id: 'R7a',
    fault: 'The fence of work under way signals only after the unmapping, which needs the lock',
    file: REGION_MEMORY,
    edits: [
      { find: 'dma_fence_signal(fence);', replace: '' },
      {
        find: 'this.#unmapping = undefined;',
        replace: 'this.#unmapping = undefined; dma_fence_signal(fence);',
      },
    ],
    tests: [REVOCATION],
    only: 'memory.* has a fence',
  },
  {
    id: 'R7b',
    fault: 'A revocation keeps the lock while it waits for importers to unmap',
    file: 'node/dmabuf/revoke.ts',
    edits: [
      {
        find: `dma_resv_unlock(reservation);
  if (!retired)`,
        replace: 'if (!retired)',
      },
    ],
    tests: [REVOKE],
    only: 'without it',
  },
  {
    id: 'R8a',
    fault: 'A device that imports takes a lock that it holds',
    file: 'node/device/dma-buf-importer.ts',
    edits: [
      {
        find: 'mapAttached(mmu, attachment, size),',
        replace: 'dma_resv_locked(dmaBuf.reservation, () => mapAttached(mmu, attachment, size)),',
      },
    ],
    tests: [EXPORTS],
    only: 'R8',
  },
  {
    id: 'R8b',
    fault: 'A device that imports from itself keeps itself open',
    file: 'node/device/context.ts',
    edits: [
      { find: "if (mapping.kind === 'import') this.#unmap(mapping);", replace: 'void mapping;' },
    ],
    tests: [EXPORTS],
    only: 'R8',
  },
  {
    id: 'R9a',
    fault: 'A permanent revocation behind a temporary one is forgotten',
    file: 'node/dmabuf/revoke.ts',
    edits: [{ find: 'revocation.mode = mode;', replace: '' }],
    tests: [REVOKE],
    only: 'R9',
  },
  {
    id: 'R9b',
    fault: 'A permanent revocation does not wait for importers that a temporary one still drains',
    file: 'node/dmabuf/revoke.ts',
    edits: [
      { find: "if (own.state === 'revoking') return revocation.ended.promise;", replace: '' },
    ],
    tests: [REVOKE],
    only: 'R9',
  },
  {
    id: 'R10a',
    fault: 'Nobody is told of an importer that breaks its promise to let go',
    file: 'node/dmabuf/revoke.ts',
    edits: [{ find: 'options.onBug(message);', replace: '' }],
    tests: [REVOKE, REGRESSIONS],
    only: 'R10',
  },
  {
    id: 'R10b',
    fault: 'Memory that an importer did not let go of is handed on',
    file: 'node/device/device-exports.ts',
    edits: [
      { find: "isMapped ? 'ETIMEDOUT' : undefined", replace: 'undefined' },
      { find: 'if (errno !== undefined) return errno;', replace: '' },
    ],
    tests: [REGRESSIONS],
    only: 'R10',
  },
  {
    id: 'R10c',
    fault: 'An importer that never lets go is waited for without end',
    file: 'node/dmabuf/revoke.ts',
    edits: [
      {
        find: `stop(() => broken(own, options, keepers(own))),`,
        replace: 'undefined,',
      },
    ],
    tests: [REVOKE],
    only: 'R10',
  },
  {
    id: 'R11a',
    fault: 'A callback that comes after the signal is taken, and never runs',
    file: 'node/dmabuf/fence.ts',
    edits: [{ find: "if (own.state === 'signaled') return 'ENOENT';", replace: '' }],
    tests: [FENCES],
  },
  {
    id: 'R11b',
    fault: 'A fence counts as signalled only after its callbacks have run',
    file: 'node/dmabuf/fence.ts',
    edits: [
      { find: "own.state = 'signaled';", replace: '' },
      {
        find: 'for (const callback of callbacks) callback(fence);',
        replace: `for (const callback of callbacks) callback(fence);
          own.state = 'signaled';`,
      },
    ],
    tests: [FENCES],
    only: 'R11',
  },
];
