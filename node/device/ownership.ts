/**
 * Who owns device memory once a dma-buf of it has left the process: the answers of the mail thread, as
 * data. The driver asks the row of its policy and never the policy's name.
 */

export const OWNERSHIP_POLICIES = ['revoke', 'owner', 'owner-2021', 'none'] as const;
export type OwnershipPolicy = (typeof OWNERSHIP_POLICIES)[number];

/** What a habanalabs of Linux 6.4 and later does. */
export const OWNERSHIP_DEFAULT: OwnershipPolicy = 'owner';

export interface OwnershipRules {
  /**
   * What a live dma-buf keeps. `file`: the device file, so the device is not released before the dma-buf
   * (Linux 6.4). `context`: the user's memory, but not the file (Linux 5.16). `nothing`.
   */
  readonly exportHolds: 'file' | 'context' | 'nothing';
  /**
   * The device is closed while dma-bufs of it live. `wait`: it stays with its user until the last one is
   * gone. `reset`: hard reset, and the opener is killed. `revoke`: they are taken back before the device
   * is given up. `forget`: the device is given up, and they still reach its memory.
   */
  readonly closeWithExports: 'wait' | 'reset' | 'revoke' | 'forget';
  /** Importers that cannot be stopped are refused when they attach (EOPNOTSUPP). */
  readonly importers: 'any' | 'revocable';
  /** One sentence, for people. */
  readonly summary: string;
}

export const OWNERSHIP: Readonly<Record<OwnershipPolicy, OwnershipRules>> = {
  revoke: {
    exportHolds: 'nothing',
    closeWithExports: 'revoke',
    importers: 'revocable',
    summary: 'close takes every dma-buf back; importers that cannot be stopped are refused',
  },
  owner: {
    exportHolds: 'file',
    closeWithExports: 'wait',
    importers: 'any',
    summary: 'a dma-buf keeps the device from its next user until it is gone',
  },
  'owner-2021': {
    exportHolds: 'context',
    closeWithExports: 'reset',
    importers: 'any',
    summary: 'close with a live dma-buf ends in a hard reset, and the opener is killed',
  },
  none: {
    exportHolds: 'nothing',
    closeWithExports: 'forget',
    importers: 'any',
    summary: 'unsafe: whoever imported device memory still reaches it under the next user',
  },
};

export function isOwnershipPolicy(value: unknown): value is OwnershipPolicy {
  return OWNERSHIP_POLICIES.some((policy) => policy === value);
}
