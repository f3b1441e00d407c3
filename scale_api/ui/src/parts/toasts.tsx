import { dismiss, toasts } from "../core/toasts";

export function Toasts() {
  return (
    <div class="toasts" role="status" aria-live="polite">
      {toasts.value.map((toast) => (
        <div key={toast.id} class={`toast toast-${toast.kind}`}>
          <div>
            <strong>{toast.text}</strong>
            {toast.details.map((detail) => (
              <p key={detail}>{detail}</p>
            ))}
          </div>
          {toast.undo && (
            <button
              type="button"
              onClick={() => {
                toast.undo?.();
                dismiss(toast.id);
              }}
            >
              Undo
            </button>
          )}
          <button type="button" class="plain close" aria-label="Dismiss" onClick={() => dismiss(toast.id)}>
            ×
          </button>
        </div>
      ))}
    </div>
  );
}
