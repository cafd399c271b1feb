/**
 * Memory that ranks let each other map: what this rank has offered, and who has mapped it; what peers have
 * offered, and where it is mapped. Each window has a number of its host, never used again.
 */
import type { Rank } from '../../../collectives/schedule.ts';
import { type Deferred, deferred } from '../../../common/deferred.ts';
import { isErrno } from '../../../common/errno.ts';
import type { FiMr } from '../../fabric/fabric.ts';
import { fi_mr_shared } from '../../fabric/mr.ts';
import type { SharedMessage } from '../control-message.ts';
import { hcclError } from '../failure.ts';
import type { ControlPage } from '../program/control-page.ts';
import type { SharedDevice, SharedMachine } from './shared-machine.ts';

export interface SharedWindowsInit {
  readonly peers: readonly Rank[];
  readonly machine: SharedMachine;
  readonly device: SharedDevice;
  readonly control: ControlPage;
  nodeIdOf(rank: Rank): string;
  send(peer: Rank, message: SharedMessage): void;
  /** The device takes memory back that peers have mapped. */
  takenBack(): void;
}

type WindowUse = Extract<SharedMessage, { readonly kind: 'WINDOW' }>['use'];

/** A window of this rank, and which peers have not answered. */
interface Offer {
  readonly waiting: Set<Rank>;
  readonly mapped: Deferred<void>;
}

export class SharedWindows {
  readonly #init: SharedWindowsInit;
  readonly #offers = new Map<number, Offer>();
  /** By registration, the number of its window once every peer has mapped it. */
  readonly #windows = new Map<FiMr, Promise<number>>();
  /** By rank and number, where a peer's window is mapped. */
  readonly #imports = new Map<string, number>();
  #state: 'open' | 'closed' = 'open';

  constructor(init: SharedWindowsInit) {
    this.#init = init;
  }

  /** Resolves to the window of a registration when every peer has mapped it; hcclOutOfMemory if one cannot. */
  window(mr: FiMr, use: WindowUse): Promise<number> {
    const known = this.#windows.get(mr);
    if (known !== undefined) return known;
    const made = this.#offer(mr, use);
    this.#windows.set(mr, made);
    made.catch(() => this.#windows.delete(mr));
    return made;
  }

  /** A registration is going away: nobody may use its window any more. */
  drop(mr: FiMr): void {
    this.#init.control.nextEpoch();
    const window = this.#windows.get(mr);
    this.#windows.delete(mr);
    const withdraw = (id: number) => {
      if (this.#state === 'closed') return;
      for (const peer of this.#init.peers) this.#init.send(peer, { kind: 'WITHDRAW', id });
    };
    void window?.then(withdraw, () => undefined);
  }

  /** A peer offers memory: maps it, and says whether that went well. Where it is mapped. */
  offered(peer: Rank, id: number, bytes: number): number | undefined {
    const offset = this.#map(peer, id, bytes);
    const result = offset === undefined ? 'refused' : 'mapped';
    this.#init.send(peer, { kind: 'WINDOW_ANSWER', id, result });
    return offset;
  }

  answered(peer: Rank, id: number, result: 'mapped' | 'refused'): void {
    const offer = this.#offers.get(id);
    if (offer === undefined || !offer.waiting.delete(peer)) return;
    if (result === 'refused') {
      this.#offers.delete(id);
      offer.mapped.reject(refused(`rank ${peer} cannot, for want of room in its import aperture`));
    } else if (offer.waiting.size === 0) {
      this.#offers.delete(id);
      offer.mapped.resolve();
    }
  }

  withdrawn(peer: Rank, id: number): void {
    const offset = this.#imports.get(`${peer} ${id}`);
    if (offset === undefined) return;
    this.#imports.delete(`${peer} ${id}`);
    this.#init.control.removeWindow(peer, id);
    this.#init.device.dropImport(offset);
  }

  /** Nobody is waited for any more, and nothing of the peers' is mapped. The program's thread must be out. */
  close(): void {
    this.#state = 'closed';
    for (const { mapped } of this.#offers.values())
      mapped.reject(refused('the communicator has ended'));
    this.#offers.clear();
    for (const offset of this.#imports.values()) this.#init.device.dropImport(offset);
    this.#imports.clear();
  }

  async #offer(mr: FiMr, use: WindowUse): Promise<number> {
    const { machine, peers, nodeIdOf, send, takenBack } = this.#init;
    const file = fi_mr_shared(mr, () => {
      if (this.#state === 'open') takenBack();
    });
    if (typeof file === 'string') throw refused(`this rank's cannot be shared (${file})`);
    const id = machine.nextWindow();
    const offer: Offer = { waiting: new Set(peers), mapped: deferred() };
    this.#offers.set(id, offer);
    for (const peer of peers) {
      // A peer that is handed nothing finds nothing, and refuses.
      machine.peers.offer(nodeIdOf(peer), id, file);
      send(peer, { kind: 'WINDOW', use, id, bytes: file.bytes });
    }
    await offer.mapped.promise;
    return id;
  }

  #map(peer: Rank, id: number, bytes: number): number | undefined {
    const { machine, device, control, nodeIdOf } = this.#init;
    const file = machine.peers.take(nodeIdOf(peer), id);
    if (file === undefined) return undefined;
    const imported = device.importShared({ ...file, bytes });
    if (isErrno(imported)) return undefined;
    const { offset } = imported;
    if (id === 0 || !control.addWindow({ rank: peer, id, offset, bytes })) {
      device.dropImport(offset);
      return undefined;
    }
    this.#imports.set(`${peer} ${id}`, offset);
    return offset;
  }
}

function refused(why: string): Error {
  const message = `Expected every rank to map the memory of a collective but ${why}: use less memory at a time, or --provider ws`;
  return hcclError({ result: 'hcclOutOfMemory', message });
}
