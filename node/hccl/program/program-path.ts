/**
 * How the program's thread of a rank runs collectives itself, if it does: through memory that the ranks share
 * (`shared-path.ts`), else on wires (`wire/wire-path.ts`), else not at all: then its host does.
 */
import type { Rank } from '../../../collectives/schedule.ts';
import type { FiMr } from '../../fabric/fabric.ts';
import type { DataPath, ProgramMessage } from '../control-message.ts';
import { SharedPath, type SharedPathInit, type SharedPlaces } from '../shared/shared-path.ts';
import { WirePath, type WirePathInit, type WirePlaces } from '../wire/wire-path.ts';
import type { ProgramTraffic } from './control-page.ts';

export type ProgramPathInit = SharedPathInit &
  WirePathInit & { send(peer: Rank, message: ProgramMessage): void };

/** What the program's thread has to know. */
export type ProgramPlaces = SharedPlaces | WirePlaces;

export class ProgramPath {
  readonly #shared: SharedPath;
  readonly #wires: WirePath;

  constructor(init: ProgramPathInit) {
    this.#shared = new SharedPath(init);
    this.#wires = new WirePath(init);
  }

  /** What this rank can do. */
  get able(): readonly DataPath[] {
    const paths: DataPath[] = this.#shared.isPossible ? ['p2p'] : [];
    return this.#wires.isPossible ? [...paths, 'wire'] : paths;
  }

  /** Agreed by all ranks; `link`: their hosts move the bytes. */
  get path(): DataPath | 'link' {
    if (this.#shared.isOn) return 'p2p';
    return this.#wires.isOn ? 'wire' : 'link';
  }

  get progress(): number {
    return this.#shared.progress;
  }

  get traffic(): ProgramTraffic {
    return this.#wires.isOn ? this.#wires.traffic : this.#shared.traffic;
  }

  get places(): ProgramPlaces | undefined {
    return this.#shared.places ?? this.#wires.places;
  }

  /** As `SharedPath.isRead`: what goes by wires is a copy. */
  get isRead(): boolean {
    return this.#shared.isRead;
  }

  /** What a peer can do. */
  hello(peer: Rank, paths: readonly DataPath[]): void {
    if (paths.includes('p2p')) this.#shared.able(peer);
    if (paths.includes('wire')) this.#wires.able(peer);
  }

  /** After every hello: resolves when all ranks know the path. Throws what `SharedPath.agree` throws. */
  async agree(): Promise<void> {
    await this.#shared.agree();
    if (!this.#shared.isOn) await this.#wires.agree();
  }

  heard(peer: Rank, message: ProgramMessage): void {
    if (message.kind === 'WIRE' || message.kind === 'WIRES') this.#wires.heard(peer, message);
    else this.#shared.heard(peer, message);
  }

  departed(peer: Rank, progress: number): void {
    this.#shared.departed(peer, progress);
    this.#wires.departed(peer, progress);
  }

  /** Number of the window through which every peer reaches a registration, if they reach any; else 0. */
  async window(mr: FiMr, use: 'served' | 'own'): Promise<number> {
    if (this.#wires.isOn) this.#wires.watch(mr);
    return use === 'served' && this.#shared.isOn ? this.#shared.window(mr) : 0;
  }

  stop(): void {
    this.#shared.stop();
    this.#wires.stop();
  }

  get isBusy(): boolean {
    return this.#shared.isBusy || this.#wires.isBusy;
  }

  async idle(): Promise<void> {
    await this.#shared.idle();
    await this.#wires.idle();
  }

  async release(): Promise<void> {
    await this.#shared.release();
    await this.#wires.release();
  }

  abandon(): void {
    this.#shared.abandon();
    this.#wires.abandon();
  }
}
