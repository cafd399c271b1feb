/** What the shadow model concludes from opens, closes, exits and revocations. */
import type { ShadowBuffer, ShadowRegion } from './shadow-buffer.ts';
import type { Opening, ShadowDevice } from './shadow-device.ts';
import type { SimulatedUser } from './simulated-user.ts';
import type { World } from './world.ts';

/** A successful open of `device`: nothing of the former owner may be left. */
export function handOver(
  world: World,
  device: ShadowDevice,
  pid: number,
  library: boolean,
): Opening {
  const before = device.current;
  world.findings.check(
    'I7',
    before?.state !== 'open',
    () =>
      `Expected ${device.name} to have one owner but pid ${pid} opened it while pid ${before?.pid} had it`,
  );
  if (world.options.ownership !== 'none') checkNothingLeft(world, device, pid);
  const opening = device.handOver(pid, library);
  if (world.options.ownership !== 'none') {
    for (const region of world.model.regionsOf(device)) regionDead(region);
  }
  world.model.handedOver(device);
  return opening;
}

/** Policies `owner`, `owner-2021`: no dma-buf lives. Policy `revoke`: all are revoked for good. */
function checkNothingLeft(world: World, device: ShadowDevice, pid: number): void {
  const { model, findings, options } = world;
  for (const buffer of model.buffers) {
    if (buffer.opening.device !== device) continue;
    const { references } = buffer.dmaBuf.file;
    const isGone = references === 0;
    const isRevoked = buffer.dmaBuf.state === 'permanentlyRevoked';
    findings.check(
      'I8',
      isGone || (options.ownership === 'revoke' && isRevoked),
      () =>
        `Expected open of ${device.name} by pid ${pid} to wait for dma-buf ${buffer.id} of open ${buffer.opening.number}, which is ${buffer.dmaBuf.state} with ${references} references`,
    );
    const mapped = [...buffer.dmaBuf.attachments].filter(({ mapping }) => mapping !== undefined);
    findings.check(
      'I2',
      isGone || mapped.length === 0,
      () =>
        `Expected nobody to have dma-buf ${buffer.id} mapped when ${device.name} is handed over`,
    );
    if (isGone) buffer.watch?.checkEnd();
    model.buffers.delete(buffer);
  }
}

/** A descriptor of the device file is gone. */
export function deviceClosed(world: World, opening: Opening): void {
  opening.descriptors--;
  if (opening.descriptors > 0 || opening.state !== 'open') return;
  opening.state = 'closing';
  for (const one of world.model.imports)
    if (one.opening === opening) world.model.imports.delete(one);
  for (const memory of world.memories)
    if (memory.opening === opening) world.memories.delete(memory);
  if (world.options.ownership !== 'revoke') return;
  for (const buffer of world.model.buffers) if (buffer.opening === opening) revoking(buffer);
}

function interrupt(region: ShadowRegion, state: 'revoking' | 'closing' | 'dead'): void {
  if (state === 'revoking' && region.state !== 'live') return;
  region.state = state;
  region.wasInterrupted = true;
}

export function revoking(buffer: ShadowBuffer): void {
  if (buffer.state === 'permanentlyRevoked') return;
  buffer.state = 'revoking';
  for (const region of buffer.regions) interrupt(region, 'revoking');
  for (const one of buffer.imports) if (one.state === 'live') one.state = 'revoking';
}

/** A revocation has returned: no access from here on. */
export function revoked(
  buffer: ShadowBuffer,
  how: 'temporarilyRevoked' | 'permanentlyRevoked',
): void {
  if (buffer.state === 'permanentlyRevoked') return;
  buffer.state = how;
  buffer.epoch++;
  for (const one of buffer.imports) one.state = 'dead';
  for (const region of buffer.regions) {
    if (region.state === 'live' || region.state === 'revoking') interrupt(region, 'dead');
  }
}

/** The buffer may be used again: regions that map on demand are as good as new, others stay dead. */
export function unrevoked(buffer: ShadowBuffer): void {
  buffer.state = 'live';
  for (const region of buffer.regions) {
    if (region.mode === 'dynamic' && region.state === 'dead') region.state = 'live';
  }
}

/** Under `revoke` a reset takes every buffer back first, until its owner is gone. */
export function resetStarted(world: World, device: ShadowDevice): void {
  if (world.options.ownership !== 'revoke') return;
  for (const buffer of world.model.buffers) if (buffer.opening.device === device) revoking(buffer);
}

/** The device has started anew: nobody reaches what was there. */
export function resetDone(world: World, device: ShadowDevice): void {
  if (world.options.ownership === 'none') return;
  for (const buffer of world.model.buffers) {
    if (buffer.opening.device === device) revoked(buffer, 'permanentlyRevoked');
  }
}

/** The key is dead; what was handed to the link before may still be read. */
export function regionClosing(region: ShadowRegion): void {
  if (region.state !== 'dead') interrupt(region, 'closing');
}

export function regionDead(region: ShadowRegion): void {
  interrupt(region, 'dead');
  region.buffer.regions.delete(region);
}

/** The process has ended: its queue pairs and keys are dead at once, its descriptors are closed. */
export function userExited(world: World, user: SimulatedUser): void {
  user.state = 'dead';
  for (const end of user.ends) {
    end.state = 'destroyed';
    end.connection().disturbed ??= `pid ${user.process.pid} has ended`;
    end.sends.length = 0;
  }
  user.ends.clear();
  for (const region of user.regions) regionClosing(region);
  user.regions.clear();
  for (const descriptor of user.descriptors.values()) {
    if (descriptor.kind === 'device') deviceClosed(world, descriptor.opening);
    if (descriptor.kind === 'buffer') descriptor.buffer.descriptors--;
  }
  user.descriptors.clear();
  for (const users of [user.host.users, world.users]) users.splice(users.indexOf(user), 1);
}
