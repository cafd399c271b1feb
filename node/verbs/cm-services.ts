/** The services of a NIC by number, and the frames of connection management that arrive for them. */
import { assert } from '../../common/assert.ts';
import type { FrameHeader } from '../transport/frame.ts';
import type { CmService } from './cm.ts';
import { CM_PAYLOAD_BYTES_MAX } from './cm-message.ts';
import type { FrameRefusal } from './nic.ts';

export class CmServices {
  readonly #services = new Map<number, CmService>();
  /** Payload of the frame that is arriving, by peer. */
  readonly #payloads = new Map<string, Uint8Array>();
  readonly #refuse: (refusal: FrameRefusal) => void;
  #lastId = 0;

  /** `refuse` hears of every frame that is not for anybody here. */
  constructor(refuse: (refusal: FrameRefusal) => void) {
    this.#refuse = refuse;
  }

  add(make: (id: number) => CmService): CmService {
    this.#lastId++;
    const service = make(this.#lastId);
    this.#services.set(service.id, service);
    return service;
  }

  remove(id: number): void {
    assert(this.#services.delete(id), `Expected service ${id} to be there`);
  }

  linkUp(nodeId: string): void {
    for (const service of [...this.#services.values()]) service.linkUp(nodeId);
  }

  linkLost(nodeId: string): void {
    for (const service of [...this.#services.values()]) service.linkLost(nodeId);
  }

  place(nodeId: string, header: FrameHeader): readonly Uint8Array[] | null {
    const known = this.#services.has(header.destQpn);
    if (!known || header.payloadLength > CM_PAYLOAD_BYTES_MAX) {
      this.#refuse(known ? 'malformed' : 'unknownService');
      return null;
    }
    const payload = new Uint8Array(header.payloadLength);
    this.#payloads.set(nodeId, payload);
    return [payload];
  }

  landed(nodeId: string, header: FrameHeader): void {
    const payload = this.#payloads.get(nodeId) ?? new Uint8Array();
    this.#payloads.delete(nodeId);
    const service = this.#services.get(header.destQpn);
    const refusal =
      service === undefined ? 'unknownService' : service.receive(nodeId, header, payload);
    if (refusal !== undefined) this.#refuse(refusal);
  }
}
