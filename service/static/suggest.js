// Suggestions while somebody types into a search field: an editable combobox with a listbox (WAI-ARIA 1.2).
// Without this file the form works all the same.
"use strict";

(() => {
  const PAUSE = 120; // milliseconds without a key before the server is asked

  const element = (name, text, attributes = {}) => {
    const made = document.createElement(name);
    made.textContent = text;
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    return made;
  };

  const isWeb = (url) => {
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

    let shown = [], active = -1, timer = 0, asking = null;

    const close = () => {
      clearTimeout(timer);
      asking?.abort();
      list.hidden = true;
      active = -1;
      input.setAttribute("aria-expanded", "false");
      input.removeAttribute("aria-activedescendant");
    };

    const choose = (index) => {
      const options = [...list.children];
      active = index;
      options.forEach((option, number) => option.setAttribute("aria-selected", String(number === index)));
      if (index < 0) return input.removeAttribute("aria-activedescendant");
      input.setAttribute("aria-activedescendant", options[index].id);
      options[index].scrollIntoView({ block: "nearest" });
    };

    const go = (index) => {
      const { url, label } = shown[index];
      close();
      if (url && isWeb(url)) return location.assign(url);
      input.value = label;
      input.form.requestSubmit();
    };

    const option = (suggestion, index) => {
      const { label, kindName, match } = suggestion;
      const made = element("li", "", { id: `${list.id}-${index}`, role: "option", "aria-selected": "false" });
      const text = match.text === label ? label : `${label} (${match.text})`;
      made.append(element("span", text), element("small", kindName));
      made.addEventListener("mousedown", (event) => event.preventDefault()); // the field keeps the focus
      made.addEventListener("click", () => go(index));
      return made;
    };

    const show = (suggestions) => {
      shown = suggestions;
      list.replaceChildren(...suggestions.map(option));
      list.hidden = suggestions.length === 0;
      input.setAttribute("aria-expanded", String(!list.hidden));
      choose(-1);
    };

    const ask = async () => {
      asking?.abort();
      asking = new AbortController();
      const url = new URL(input.dataset.suggest, location.href);
      url.searchParams.set("q", input.value);
      try {
        const answer = await fetch(url, { signal: asking.signal, headers: { Accept: "application/json" } });
        if (answer.ok && document.activeElement === input) show((await answer.json()).suggestions);
      } catch (error) {
        if (error.name !== "AbortError") close();
      }
    };

    input.addEventListener("input", () => {
      clearTimeout(timer);
      if (!input.value.trim()) return close();
      timer = setTimeout(ask, PAUSE);
    });
    input.addEventListener("blur", close);
    input.form.addEventListener("submit", close);
    input.addEventListener("keydown", (event) => {
      if (event.isComposing) return;
      const last = shown.length - 1;
      if (list.hidden) {
        if (event.key === "ArrowDown" && input.value.trim()) {
          event.preventDefault();
          ask();
        }
        return;
      }
      const moves = { ArrowDown: active < last ? active + 1 : -1, ArrowUp: active < 0 ? last : active - 1 };
      if (event.key in moves) choose(moves[event.key]);
      else if (event.key === "Enter" && active >= 0) go(active);
      else if (event.key === "Escape") close();
      else return;
      event.preventDefault();
    });
  };

  document.querySelectorAll("input[data-suggest]").forEach(enhance);
})();
