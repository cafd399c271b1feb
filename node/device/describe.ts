/** Reads a device's state out for tools: nothing here changes anything. */
import type { DeviceDescription, DeviceUse, Holder } from './description.ts';
import type { DeviceState, User } from './device-state.ts';
import { deviceNodePath, pciBusId } from './uapi.ts';

export function describeDevice(device: DeviceState): DeviceDescription {
  const { hardware, user, disabledReason } = device;
  const { index, asic, hbm, exports } = hardware;
  const context = user?.context;
  return {
    index,
    asic,
    pciBusId: pciBusId(index),
    status: device.status,
    use: useOf(user),
    ownership: device.policy,
    owner: user === undefined ? null : user.opener,
    openers: user === undefined || user.state === 'scrubbing' ? [] : [user.opener],
    hbmBytes: hbm.bytes,
    hbmUsedBytes: context?.dramBytes ?? hbm.allocatedBytes,
    allocations: hbm.allocatedCount,
    mappings: context?.mmu.mappings.length ?? 0,
    exportedDmaBufs: exports.count,
    memoryRegions: exports.all.reduce((sum, { dmaBuf }) => sum + dmaBuf.attachments.size, 0),
    submissions: context?.commands.inFlightCount ?? 0,
    resets: { ...device.resets },
    ...(disabledReason !== undefined && { disabledReason }),
  };
}

export function holdersOf({ hardware, user }: DeviceState): Holder[] {
  const opener: Holder[] =
    user === undefined || user.state === 'scrubbing'
      ? []
      : [{ ...user.opener, how: 'opener', what: deviceNodePath(hardware.index) }];
  const importers = hardware.exports.all.flatMap(({ dmaBuf }) =>
    [...dmaBuf.attachments].flatMap(({ importer }): Holder[] => {
      if (importer.holder === undefined) return [];
      const { pid, containerId } = importer.holder;
      return [{ pid, containerId, how: 'importer', what: importer.name }];
    }),
  );
  return [...opener, ...importers];
}

function useOf(user: User | undefined): DeviceUse {
  return user === undefined ? 'free' : user.state;
}
