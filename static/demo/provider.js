// The demo provider's script, as a shop would load it from the provider: it defines one global.

window.DemoPay = {
  version: 1,
  /** Shows the card form. */
  mount(form) {
    form.hidden = false;
  },
};
