import { describe, expect, it } from 'vitest';
import { FI_ERRNO } from '../../../node/fabric/fabric.ts';
import {
  fabricFailure,
  hcclError,
  hcclGetErrorString,
  RESULT_OF_FI_ERRNO,
} from '../../../node/hccl/failure.ts';
import { HCCL_RESULTS, isHcclResult } from '../../../node/hccl/hccl.ts';

describe('HCCL failures', () => {
  it('every libfabric error has one HCCL result, and no more are named', () => {
    expect(Object.keys(RESULT_OF_FI_ERRNO).sort()).toEqual(Object.keys(FI_ERRNO).sort());
    for (const result of Object.values(RESULT_OF_FI_ERRNO)) {
      expect(isHcclResult(result)).toBe(true);
      expect(result).not.toBe('hcclSuccess');
    }
  });

  it('a failure is thrown under its result, which its message starts with', () => {
    const error = hcclError(
      fabricFailure('A write to rank 2', 'FI_EHOSTUNREACH', 'IBV_WC_RETRY_EXC_ERR'),
    );
    expect(error).toMatchObject({ family: 'hccl', code: 'hcclPortDown' });
    expect(error.message).toBe(
      'hcclPortDown: A write to rank 2 failed (FI_EHOSTUNREACH, IBV_WC_RETRY_EXC_ERR)',
    );
  });

  it('result numbers are those of hccl_types.h, each once', () => {
    const numbers = Object.values(HCCL_RESULTS).map(([number]) => number);
    expect(new Set(numbers).size).toBe(numbers.length);
    expect(HCCL_RESULTS.hcclPortDown[0]).toBe(16);
    expect(hcclGetErrorString('hcclSuccess')).toBe('Success');
  });
});
