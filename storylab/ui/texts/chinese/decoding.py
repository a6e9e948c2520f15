"""The Decoding tab, in Chinese."""

TEXTS: dict[str, str] = {
    "decoding_intro": "同一个讲述者用十种策略接着同一句话往下讲，所用的随机数完全相同。在下面移动滑块，看每项设置怎样改变下一个词元；再扫描温度，"
    "看故事在哪里原地打转，在哪里散成乱词。",
    "decoding_try": "同一句开头讲十种",
    # The strategies
    "decoding_run": "用每种策略各讲一遍",
    "decoding_greedy": "贪心",
    "decoding_beam": "束搜索",
    "decoding_shared": "全部使用种子 {seed}：两个故事若有不同，只是策略不同。",
    # The next token
    "decoding_next": "下一个是什么？",
    "decoding_next_about": "最可能的下一个词元：先是模型自己的概率，再是每项已启用的设置按应用顺序作用之后的概率。点一个词元，就把它接到文本后面。",
    "decoding_text": "到目前为止",
    "decoding_text_hint": "还没有内容：点下面的词元，抽一个，或自己用英语写",
    "decoding_draw": "抽下一个词元",
    "decoding_restart": "重新开始",
    "decoding_bars": "下一个词元的概率",
    "decoding_token": "词元",
    "decoding_model": "模型",
    "decoding_model_about": "模型自己的概率，未经任何设置。",
    "decoding_kept": "{kept:,} 个词元 · {entropy:.2f} 比特",
    "decoding_kept_about": "仍可能被选中的词元数，以及熵（比特）：分布有多不确定，只剩一个必然的词元时为 0。",
    "decoding_end": "故事结束",
    "decoding_ended": "故事到此结束。",
    "decoding_take_hint": "把 {token} 接到文本后面",
    # The sweep
    "decoding_sweep": "从原地打转到一堆乱词",
    "decoding_sweep_about": "讲述者在十个温度下各从八句话往下讲，随机数相同，不截去任何词元。",
    "decoding_sweep_run": "扫描温度",
    "decoding_waits": "排队等待中……",
    "decoding_sweep_progress": "已完成 {done} / {total} 个温度……",
    "decoding_sweep_stopped": "已停止。",
    "decoding_across": "温度（左：打转，右：乱词）",
    "decoding_repeating": "有四词重复的故事",
    "decoding_four": "恰好四句后结束",
    "decoding_surprise": "意外程度（每词困惑度）",
    "decoding_figures": "具体数字",
    "decoding_reading": "左边总是最可能的词元胜出：四个词的序列一再出现，新的词对很少，讲述者对自己讲的毫不意外。右边不大可能的词元也会胜出："
    "什么都不重复，看似多样，但意外程度远高于任何故事，故事也不再收尾。",
    "decoding_people": "虚线是它读人写的故事时的意外程度，{value:.3g}。",
}
