/**
 * A connection service that notices when a peer starts anew. Queue pair numbers of a host only rise,
 * so of two HELLOs of one peer the one with the higher number is newer: the peer has replaced its
 * queue pair, after an error took the old one out of use or because the address was taken out and
 * put in again. This side then has to replace its own. HELLOs of replaced queue pairs are refused.
 */
import { assert } from '../../common/assert.ts';
import { type CmPeer, CmService } from '../verbs/cm.ts';
import { decodeHello } from '../verbs/cm-message.ts';
import type { IbvContext } from '../verbs/context.ts';
import { psnDistance } from '../verbs/psn.ts';

type Receive = CmService['receive'];

interface PeerState {
  /** The newest queue pair number that the peer has shown. */
  newest: number | undefined;
  /** Numbers up to this one are out of use. */
  replaced: number | undefined;
  readonly onRestart: () => void;
}

export class PeerService extends CmService {
  readonly #peers = new Map<string, PeerState>();

  /**
   * From now on `onRestart` tells that the peer has replaced its queue pair. It has to close its
   * connection and make a new one, which then gets the HELLO.
   */
  watch(peer: CmPeer, onRestart: () => void): void {
    const key = peerKey(peer);
    assert(!this.#peers.has(key), `Expected ${key} to be watched once`);
    this.#peers.set(key, { newest: undefined, replaced: undefined, onRestart });
  }

  unwatch(peer: CmPeer): void {
    this.#peers.delete(peerKey(peer));
  }

  /** This side replaces its queue pair: the peer will do the same. */
  expectReplacement(peer: CmPeer): void {
    const state = this.#peers.get(peerKey(peer));
    if (state !== undefined) state.replaced = state.newest;
  }

  override receive(...[nodeId, header, payload]: Parameters<Receive>): ReturnType<Receive> {
    const state = this.#peers.get(peerKey({ nodeId, serviceId: header.sourceQpn }));
    const hello = header.qpEpoch === this.epoch ? decodeHello(payload) : undefined;
    if (state === undefined || hello === undefined) return super.receive(nodeId, header, payload);
    const { qpn } = hello;
    if (state.newest !== undefined && psnDistance(qpn, state.newest) < 0) return 'wrongState';
    if (state.replaced !== undefined && psnDistance(qpn, state.replaced) <= 0) return 'wrongState';
    state.newest = qpn;
    const refusal = super.receive(nodeId, header, payload);
    // The connection has shaken hands with another queue pair, an older one.
    if (refusal !== 'malformed') return refusal;
    state.onRestart();
    return super.receive(nodeId, header, payload);
  }
}

/** Opens a service in `context`, for queue pairs of `epoch`. */
export function openPeerService(context: IbvContext, epoch: number): PeerService {
  const { nic } = context;
  assert(nic.contexts.has(context), 'Expected an open device');
  const service = nic.addService((id) => new PeerService(context, id, epoch));
  assert(service instanceof PeerService, 'Expected the service that was made');
  context.services.add(service);
  return service;
}

/** What tells one service of all hosts from the others. */
export function peerKey({ nodeId, serviceId }: Pick<CmPeer, 'nodeId' | 'serviceId'>): string {
  return `${nodeId}/${serviceId}`;
}
