/** Mutants of the driver: who may have the device, what its exports hold, and how it is taken away. */
import type { Mutant } from './mutant.ts';

const REGRESSIONS = 'test/conformance/device-regressions.test.ts';
const EXPORTER = 'node/device/dma-buf-exporter.ts';
const RESET = 'node/device/reset.ts';

export const DEVICE_MUTANTS: readonly Mutant[] = [
  {
    id: 'R1a',
    fault: 'A device is given to its next user without waiting for its dma-bufs',
    file: 'node/device/ownership.ts',
    edits: [
      { find: "exportHolds: 'file',", replace: "exportHolds: 'nothing'," },
      { find: "closeWithExports: 'wait',", replace: "closeWithExports: 'forget'," },
    ],
    tests: [REGRESSIONS],
    only: 'R1: .* owner: ',
  },
  {
    id: 'R1b',
    fault: 'A region that cannot be stopped may attach although the exporter wants to revoke',
    file: EXPORTER,
    edits: [
      {
        find: 'dma_buf_attach_revocable(attachment) ? undefined : MEMORY_ERRORS.attachNotRevocable.errno',
        replace: 'void attachment',
      },
    ],
    tests: [REGRESSIONS],
    only: 'R1: .* revoke: ',
  },
  {
    id: 'R1c',
    fault: 'The next user finds the memory as the last one left it',
    file: 'node/device/scrub.ts',
    edits: [{ find: "hbm.scrubSlice(sliceBytes) === 'done'", replace: 'sliceBytes > 0' }],
    tests: [REGRESSIONS],
    only: 'R1: .* owner: ',
  },
  {
    id: 'R1d',
    fault: 'The close of a device gives up its memory before it is taken back from importers',
    file: 'node/device/release.ts',
    edits: [
      {
        find: "device.hardware.ownership.closeWithExports === 'revoke'",
        replace: 'device.openCount < 0',
      },
      { find: "closeWithExports === 'forget'", replace: "closeWithExports !== 'wait'" },
    ],
    tests: [REGRESSIONS],
    only: 'R1: .* revoke: ',
  },
  {
    id: 'R2a',
    fault: 'As the driver of 2021 did, a close with a live dma-buf resets the device and kills',
    file: 'node/device/ownership.ts',
    edits: [
      { find: "exportHolds: 'file',", replace: "exportHolds: 'context'," },
      { find: "closeWithExports: 'wait',", replace: "closeWithExports: 'reset'," },
    ],
    tests: [REGRESSIONS],
    only: 'R2: .* 2023: ',
  },
  {
    id: 'R2b',
    fault: 'The driver of 2021 notices the live dma-buf, and does nothing about it',
    file: 'node/device/release.ts',
    edits: [{ find: "if (closeWithExports === 'reset') reset(reason);", replace: '' }],
    tests: [REGRESSIONS],
    only: 'R2: .* 2021: ',
  },
  {
    id: 'R2c',
    fault: 'The last dma-buf does not let go of the device file',
    file: EXPORTER,
    edits: [{ find: "if (exportHolds === 'file') deviceFile.put();", replace: '' }],
    tests: [REGRESSIONS],
    only: 'R2: .* 2023: ',
  },
  {
    id: 'R19a',
    fault: 'The trials of a hard reset never run out',
    file: RESET,
    edits: [{ find: 'trial <= limits.resetTrials', replace: 'trial > 0' }],
    tests: [REGRESSIONS],
    only: 'R19: .* disabled',
  },
  {
    id: 'R19b',
    fault: 'A device whose user cannot be made to leave is not disabled',
    file: RESET,
    edits: [{ find: 'device.disable(', replace: 'String(' }],
    tests: [REGRESSIONS],
    only: 'R19: .* disabled',
  },
  {
    id: 'R20a',
    fault: 'A second user can open the device',
    file: 'node/device/open-errors.ts',
    edits: [{ find: "context === 'active'", replace: 'context !== context' }],
    tests: [REGRESSIONS],
    only: 'R20: ',
  },
  {
    id: 'R20b',
    fault: 'A device that starts anew after a release answers as one that is disabled',
    file: 'node/device/open-errors.ts',
    edits: [
      {
        find: "holds: ({ status }) => status === 'IN_RESET' || status === 'IN_RESET_AFTER_DEVICE_RELEASE'",
        replace: "holds: ({ status }) => status === 'IN_RESET'",
      },
    ],
    tests: [REGRESSIONS],
    only: 'R20: ',
  },
  {
    id: 'R20c',
    fault: 'The device can be opened before its memory has been scrubbed',
    file: 'node/device/release.ts',
    edits: [
      { find: "device.status = 'IN_RESET_AFTER_DEVICE_RELEASE';", replace: '' },
      { find: "device.scrub = 'running';", replace: 'free(device, user);' },
    ],
    tests: [REGRESSIONS],
    only: 'R20: ',
  },
  {
    id: 'R20d',
    fault: 'The control node is exclusive, too',
    file: 'node/device/driver.ts',
    edits: [
      {
        find: "if (this.#device.presence === 'removed') return 'ENXIO';",
        replace: "if (this.#device.user !== undefined) return 'EBUSY';",
      },
    ],
    tests: [REGRESSIONS],
    only: 'R20: ',
  },
];
