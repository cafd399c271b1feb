/** All kinds of operations. */
import type { ShadowDevice } from '../shadow-device.ts';
import { BUFFER_OPERATIONS } from './buffer-operations.ts';
import { DEVICE_OPERATIONS } from './device-operations.ts';
import { ENGINE_OPERATIONS } from './engine-operations.ts';
import { FAULT_OPERATIONS } from './fault-operations.ts';
import { IMPORT_OPERATIONS } from './import-operations.ts';
import { MEMORY_OPERATIONS } from './memory-operations.ts';
import type { Operation } from './operation.ts';
import { PROCESS_OPERATIONS } from './process-operations.ts';
import { REGISTRATION_OPERATIONS } from './registration-operations.ts';
import { REVOCATION_OPERATIONS } from './revocation-operations.ts';
import { VERBS_OPERATIONS } from './verbs-operations.ts';

const COLLECTIVE: Operation = {
  kind: 'collective',
  weight: 3,
  prepare(world) {
    if (world.jobs.isRunning || world.collectives >= world.collectivesMax) return undefined;
    const free = world.devices.filter(({ device: { driver } }) => {
      const { use, status } = driver.describe();
      return use === 'free' && status === 'OPERATIONAL';
    });
    const onHosts = new Map<string, ShadowDevice>();
    for (const device of free) onHosts.set(device.name.slice(0, 2), device);
    const [first, second] = world.prng.shuffle([...onHosts.values()]);
    if (first === undefined || second === undefined) return undefined;
    return () => {
      world.collectives++;
      return world.jobs.run([first, second]);
    };
  },
};

export const OPERATIONS: readonly Operation[] = [
  ...DEVICE_OPERATIONS,
  ...MEMORY_OPERATIONS,
  ...ENGINE_OPERATIONS,
  ...BUFFER_OPERATIONS,
  ...IMPORT_OPERATIONS,
  ...REGISTRATION_OPERATIONS,
  ...REVOCATION_OPERATIONS,
  ...VERBS_OPERATIONS,
  ...PROCESS_OPERATIONS,
  ...FAULT_OPERATIONS,
  COLLECTIVE,
];
