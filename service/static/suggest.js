// Suggestions for search fields: an editable combobox with a listbox popup (WAI-ARIA 1.2).
// Without JavaScript the form still works.
"use strict";

(() => {
  const DELAY = 120; // milliseconds between the last key and the request

  const element = (name, text, attributes = {}) => {
    const node = document.createElement(name);
    node.textContent = text;
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    return node;
  };

  const isWebAddress = (url) => {
    try {
      return ["http:", "https:"].includes(new URL(url, location.href).protocol);
    } catch {
      return false;
    }
  };

  const enhance = (input) => {
    const list = element("ul", "", { id: `${input.id}-list`, role: "listbox", "aria-label": input.dataset.list, class: "suggestions" });
    list.hidden = true;
    input.form.append(list);
    for (const [key, value] of Object.entries({
      role: "combobox", "aria-autocomplete": "list", "aria-expanded": "false", "aria-controls": list.id,
    })) input.setAttribute(key, value);

    let shown = [], active = -1, timer = 0, pending = null;

    const close = () => {
      clearTimeout(timer);
      pending?.abort();
      list.hidden = true;
      active = -1;
      input.setAttribute("aria-expanded", "false");
      input.removeAttribute("aria-activedescendant");
    };

    const select = (index) => {
      const options = [...list.children];
      active = index;
      options.forEach((option, number) => option.setAttribute("aria-selected", String(number === index)));
      if (index < 0) return input.removeAttribute("aria-activedescendant");
      input.setAttribute("aria-activedescendant", options[index].id);
      options[index].scrollIntoView({ block: "nearest" });
    };

    const open = (index) => {
      const { url, label } = shown[index];
      close();
      if (url && isWebAddress(url)) return location.assign(url);
      input.value = label;
      input.form.requestSubmit();
    };

    const option = (suggestion, index) => {
      const { label, kindName, match } = suggestion;
      const node = element("li", "", { id: `${list.id}-${index}`, role: "option", "aria-selected": "false" });
      const text = match.text === label ? label : `${label} (${match.text})`;
      node.append(element("span", text), element("small", kindName));
      node.addEventListener("mousedown", (event) => event.preventDefault()); // keep the focus in the field
      node.addEventListener("click", () => open(index));
      return node;
    };

    const show = (suggestions) => {
      shown = suggestions;
      list.replaceChildren(...suggestions.map(option));
      list.hidden = suggestions.length === 0;
      input.setAttribute("aria-expanded", String(!list.hidden));
      select(-1);
    };

    const request = async () => {
      pending?.abort();
      pending = new AbortController();
      const url = new URL(input.dataset.suggest, location.href);
      url.searchParams.set("q", input.value);
      try {
        const response = await fetch(url, { signal: pending.signal, headers: { Accept: "application/json" } });
        if (response.ok && document.activeElement === input) show((await response.json()).suggestions);
      } catch (error) {
        if (error.name !== "AbortError") close();
      }
    };

    input.addEventListener("input", () => {
      clearTimeout(timer);
      if (!input.value.trim()) return close();
      timer = setTimeout(request, DELAY);
    });
    input.addEventListener("blur", close);
    input.form.addEventListener("submit", close);
    input.addEventListener("keydown", (event) => {
      if (event.isComposing) return;
      const last = shown.length - 1;
      if (list.hidden) {
        if (event.key === "ArrowDown" && input.value.trim()) {
          event.preventDefault();
          request();
        }
        return;
      }
      const moves = { ArrowDown: active < last ? active + 1 : -1, ArrowUp: active < 0 ? last : active - 1 };
      if (event.key in moves) select(moves[event.key]);
      else if (event.key === "Enter" && active >= 0) open(active);
      else if (event.key === "Escape") close();
      else return;
      event.preventDefault();
    });
  };

  document.querySelectorAll("input[data-suggest]").forEach(enhance);
})();
