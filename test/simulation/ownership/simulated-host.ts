/** One host of the simulation: the real thing, and its devices as the shadow model sees them. */
import type { Host } from '../../../node/host.ts';
import type { SystemCallTable } from '../../../node/process/system-call-table.ts';
import type { ShadowDevice } from './shadow-device.ts';
import type { SimulatedUser } from './simulated-user.ts';

export interface SimulatedHost {
  readonly index: number;
  readonly host: Host;
  readonly table: SystemCallTable;
  readonly devices: readonly ShadowDevice[];
  readonly users: SimulatedUser[];
}
