/** Device memory that an actor has exported: what most scenarios begin with. */
import type { Actor } from '../stage.ts';

export interface ExportedMemory {
  /** Descriptors. */
  readonly device: number;
  readonly dmaBuf: number;
  /** Device address. */
  readonly address: number;
}

/** Three lines of the transcript. `bytes` is a multiple of 1024. */
export async function exportsMemory(actor: Actor, bytes: number): Promise<ExportedMemory> {
  const device = await actor.needs('opens the device', 'open', 0);
  const amount = `${bytes / 1024} KiB`;
  const address = await actor.needs(`allocates ${amount}`, 'allocate', device, bytes);
  const dmaBuf = await actor.needs(
    'exports it as a dma-buf',
    'exportDmaBuf',
    device,
    address,
    bytes,
  );
  return { device, address, dmaBuf };
}
