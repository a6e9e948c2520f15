"""Storytellers that live elsewhere: a model behind an OpenAI-compatible endpoint (vLLM, TGI, `transformers serve`).

`endpoint` is what the catalogue says of one; `servers` puts settings into its server's words; `client` asks through
huggingface_hub's InferenceClient; `chunks` reads what comes; `reach` finds out whether anybody answers, and `breaker`
remembers it; `calls` puts these together, with retries; `teller` tells. No endpoint is asked but by a telling, or by
`python -m storylab models --probe`.
"""
