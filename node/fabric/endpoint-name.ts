/**
 * Endpoint names (fi_getname(3)): bytes that tell a peer where an endpoint is. Opaque to users, who
 * pass them on; little-endian:
 *
 *   0  u8   version, 1
 *   1  u8   bytes of the host's name or address
 *   2  u16  port
 *   4  u32  service id, unique on its host
 *   8       host, then node id, both UTF-8
 */
import type { CmPeer } from '../verbs/cm.ts';

const VERSION = 1;
const FIXED_BYTES = 8;
/** Longest name that is accepted. */
export const NAME_BYTES_MAX = 512;

export function encodeEndpointName(peer: CmPeer): Uint8Array {
  const encoder = new TextEncoder();
  const host = encoder.encode(peer.address.host);
  const nodeId = encoder.encode(peer.nodeId);
  const name = new Uint8Array(FIXED_BYTES + host.byteLength + nodeId.byteLength);
  const view = new DataView(name.buffer);
  view.setUint8(0, VERSION);
  view.setUint8(1, host.byteLength);
  view.setUint16(2, peer.address.port, true);
  view.setUint32(4, peer.serviceId, true);
  name.set(host, FIXED_BYTES);
  name.set(nodeId, FIXED_BYTES + host.byteLength);
  return name;
}

/** `undefined` if the bytes are not a name. */
export function decodeEndpointName(name: Uint8Array): CmPeer | undefined {
  if (name.byteLength <= FIXED_BYTES || name.byteLength > NAME_BYTES_MAX) return undefined;
  const view = new DataView(name.buffer, name.byteOffset, name.byteLength);
  const hostEnd = FIXED_BYTES + view.getUint8(1);
  if (view.getUint8(0) !== VERSION || hostEnd >= name.byteLength) return undefined;
  const host = text(name.subarray(FIXED_BYTES, hostEnd));
  const nodeId = text(name.subarray(hostEnd));
  if (host === undefined || nodeId === undefined) return undefined;
  const address = { host, port: view.getUint16(2, true) };
  return { nodeId, address, serviceId: view.getUint32(4, true) };
}

function text(bytes: Uint8Array): string | undefined {
  const decoded = new TextDecoder().decode(bytes);
  return decoded === '' || decoded.includes('\ufffd') ? undefined : decoded;
}
