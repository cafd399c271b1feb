/** Host memory of the library that is registered for single operations. */
import { assert } from '../../common/assert.ts';
import { isErrno } from '../../common/errno.ts';
import { type IbvAccessFlag, type IbvMr, ibv_dereg_mr, ibv_reg_mr } from '../verbs/mr.ts';
import type { IbvSge } from '../verbs/work-request.ts';
import type { FiDomain } from './domain.ts';
import type { FiReceiveBuffer } from './fabric.ts';
import { verbsOf } from './mr.ts';

/** Its addresses start at 0. */
export interface HostRegion {
  readonly mr: IbvMr;
  /** The keys are dead at return. Idempotent. */
  close(): void;
}

/** The regions of one endpoint: what is open when it closes, closes with it. */
export class HostRegions {
  readonly #domain: FiDomain;
  readonly #open = new Set<HostRegion>();

  constructor(domain: FiDomain) {
    this.#domain = domain;
  }

  /** Registers `bytes` (at least one) with one right. */
  register(bytes: Uint8Array, right: IbvAccessFlag): HostRegion {
    const mr = ibv_reg_mr(this.#domain.pd, bytes, 0, [right]);
    assert(!isErrno(mr), `Expected host memory to be registered but found ${String(mr)}`);
    const region = {
      mr,
      close: () => {
        if (this.#open.delete(region)) void ibv_dereg_mr(mr);
      },
    };
    this.#open.add(region);
    return region;
  }

  /** Where an answer puts its bytes: a region, or host memory that is registered until `release`. */
  sink(buffer: FiReceiveBuffer, length: number): { readonly sge: IbvSge; release(): void } {
    if (!(buffer instanceof Uint8Array)) {
      const { lkey } = verbsOf(buffer.mr);
      return { sge: { lkey, address: buffer.address, length }, release: () => undefined };
    }
    const region = this.register(buffer, 'IBV_ACCESS_LOCAL_WRITE');
    const sge = { lkey: region.mr.lkey, address: 0, length };
    return { sge, release: () => region.close() };
  }

  close(): void {
    for (const region of [...this.#open]) region.close();
  }
}
