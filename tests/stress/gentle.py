"""Small changes of pipelines, most of which keep them valid: numbers, choices, parameters that may be missing, names and order."""
import json


class Gentle:
    """`chance` draws; `schema` is docs/pipeline.schema.json, which has the choices of a parameter and the required ones."""

    def __init__(self, chance, schema):
        self.chance = chance
        self.types = {}
        for kind in ("node", "model"):
            for rule in schema["$defs"][kind].get("allOf", []):
                self.types[rule["if"]["properties"]["type"]["const"]] = rule["then"]

    def change(self, pipeline):
        """A copy with one to three changes."""
        out = json.loads(json.dumps(pipeline))
        for _ in range(self.chance.choice((1, 1, 2, 3))):
            self.chance.choice((self.nudge, self.nudge, self.choose, self.drop, self.rename, self.reorder))(out)
        return out

    def parts(self, pipeline):
        """Nodes and models whose type is known."""
        both = [*pipeline.get("nodes", {}).values(), *pipeline.get("models", {}).values()]
        return [part for part in both if isinstance(part, dict) and part.get("type") in self.types]

    def nudge(self, pipeline):
        places = []

        def visit(value):
            for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
                if isinstance(inner, (dict, list)):
                    visit(inner)
                elif isinstance(inner, (int, float)) and not isinstance(inner, bool):
                    places.append((value, key))

        visit({key: pipeline.get(key, {}) for key in ("run", "let", "models", "nodes")})
        if not places:
            return
        holder, key = self.chance.choice(places)
        number = holder[key]
        holder[key] = self.chance.choice((number - 1, number + 1, 2 * number, number // 2)) if isinstance(number, int) else number * self.chance.uniform(0.5, 1.5)

    def choose(self, pipeline):
        choices = []
        for part in self.parts(pipeline):
            for name, rule in self.types[part["type"]].get("properties", {}).items():
                for way in (rule, *rule.get("anyOf", [])):
                    choices += [(part, name, value) for value in way.get("enum", [])]
        if choices:
            part, name, value = self.chance.choice(choices)
            part[name] = value

    def drop(self, pipeline):
        optional = [(part, name) for part in self.parts(pipeline) for name in part
                    if name not in ("type", "in", "after", *self.types[part["type"]].get("required", []))]
        if optional:
            part, name = self.chance.choice(optional)
            del part[name]

    def rename(self, pipeline):
        kind = self.chance.choice(("nodes", "models"))
        if not pipeline.get(kind):
            return
        old = self.chance.choice(list(pipeline[kind]))
        new = old + self.chance.choice(("_2", "-b", "X", "0" * 40))

        def renamed(value):
            if isinstance(value, dict):
                return {key: inner if key == "type" else renamed(inner) for key, inner in value.items()}
            if isinstance(value, list):
                return [renamed(inner) for inner in value]
            if isinstance(value, str) and (value == old or (kind == "nodes" and value.startswith(old + "."))):
                return new + value[len(old):]
            return value

        for part in ("nodes", "models"):
            if part in pipeline:
                pipeline[part] = {new if part == kind and name == old else name: renamed(value) for name, value in pipeline[part].items()}

    def reorder(self, pipeline):
        holders = [pipeline, *(pipeline[kind] for kind in ("nodes", "models") if kind in pipeline), *self.parts(pipeline)]
        holder = self.chance.choice(holders)
        items = list(holder.items())
        self.chance.shuffle(items)
        holder.clear()
        holder.update(items)
