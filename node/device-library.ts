/** More of hl-thunk for `import { ... } from 'hlsim'`: what `device/hlthunk.ts` leaves to its neighbours. */
import { bind } from './bound-call.ts';
import * as hlthunk from './device/hlthunk.ts';
import * as information from './device/hlthunk-info.ts';
import * as opening from './device/hlthunk-open.ts';
import { type HLTHUNK_UNSUPPORTED, hlthunkUnsupported } from './device/hlthunk-unsupported.ts';
import * as work from './device/hlthunk-work.ts';

export const hlthunk_device_reset = bind(hlthunk.hlthunk_device_reset);
export const hlthunk_device_memory_export_dmabuf_fd = bind(
  hlthunk.hlthunk_device_memory_export_dmabuf_fd,
);

export const hlthunk_open_by_bus_id = bind(opening.hlthunk_open_by_bus_id);
export const hlthunk_open_by_module_id = bind(opening.hlthunk_open_by_module_id);
export const hlthunk_open_by_name = bind(opening.hlthunk_open_by_name);
export const hlthunk_open_control_by_bus_id = bind(opening.hlthunk_open_control_by_bus_id);
export const hlthunk_open_control_by_module_id = bind(opening.hlthunk_open_control_by_module_id);
export const hlthunk_open_control_by_name = bind(opening.hlthunk_open_control_by_name);

export const hlthunk_get_device_name_from_fd = bind(information.hlthunk_get_device_name_from_fd);
export const hlthunk_get_pci_bus_id_from_fd = bind(information.hlthunk_get_pci_bus_id_from_fd);
export const hlthunk_is_device_idle = bind(information.hlthunk_is_device_idle);
export const hlthunk_get_time_sync_info = bind(information.hlthunk_get_time_sync_info);
export const hlthunk_get_reset_count_info = bind(information.hlthunk_get_reset_count_info);
export const hlthunk_get_dev_memalloc_page_orders = bind(
  information.hlthunk_get_dev_memalloc_page_orders,
);
export const hlthunk_get_event_record = bind(information.hlthunk_get_event_record);
export const hlthunk_notifier_create = bind(information.hlthunk_notifier_create);
export const hlthunk_notifier_recv = bind(information.hlthunk_notifier_recv);
export const hlthunk_notifier_release = bind(information.hlthunk_notifier_release);

export const hlthunk_command_submission_timeout = bind(work.hlthunk_command_submission_timeout);
export const hlthunk_wait_for_multi_cs = bind(work.hlthunk_wait_for_multi_cs);
export const hlthunk_debug = bind(work.hlthunk_debug);

export const hlthunk_request_command_buffer = refuse('hlthunk_request_command_buffer');
export const hlthunk_request_mapped_command_buffer = refuse(
  'hlthunk_request_mapped_command_buffer',
);
export const hlthunk_destroy_command_buffer = refuse('hlthunk_destroy_command_buffer');
export const hlthunk_signal_submission = refuse('hlthunk_signal_submission');
export const hlthunk_wait_for_signal = refuse('hlthunk_wait_for_signal');
export const hlthunk_wait_for_collective_signal = refuse('hlthunk_wait_for_collective_signal');
export const hlthunk_reserve_encaps_signals = refuse('hlthunk_reserve_encaps_signals');
export const hlthunk_unreserve_encaps_signals = refuse('hlthunk_unreserve_encaps_signals');
export const hlthunk_profiler_start = refuse('hlthunk_profiler_start');
export const hlthunk_profiler_stop = refuse('hlthunk_profiler_stop');
export const hlthunk_profiler_get_trace = refuse('hlthunk_profiler_get_trace');

/** A call that rejects, whatever it is given. */
function refuse(
  name: keyof typeof HLTHUNK_UNSUPPORTED,
): (...rest: readonly unknown[]) => Promise<never> {
  return async () => hlthunkUnsupported(name);
}
